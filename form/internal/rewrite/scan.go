package rewrite

import "bytes"

// maxName is the longest tag name that is told from others. No element of HTML,
// and none of SVG that matters, has a longer one.
const maxName = 32

// state is where the tokenizer of the standard is (section 13.2.5), as far as it
// decides where tags begin and end.
type state uint8

const (
	text        state = iota
	less              // "<"
	endOpen           // "</"
	tagName           // "<a"
	tagBody           // behind the name of a tag
	declare           // "<!"
	bogus             // a comment that ends with the next ">", or a doctype
	comment           // "<!--"
	cdata             // "<![CDATA["
	rawText           // script, style, title and their like
	rawLess           // "<" in it
	rawEnd            // "</"
	rawBang           // "<!" in a script
	rawBangDash       // "<!-"
	rawDouble         // "<script" or "</script" where a script is escaped
	passing           // nothing is looked at any more
)

// event is what a step of the scanner found.
type event uint8

const (
	nothing  event = iota
	noTag          // what began with "<" is no tag of interest
	named          // the name of a tag is complete
	complete       // a tag is complete
	unclear        // a CDATA section or a bogus comment, depending on the tree
)

// scanner finds the tags of a page, in pieces of any size. It keeps no bytes of
// it but the name of the tag at hand.
type scanner struct {
	state state
	start int // of the tag, in the piece at hand; 0 when it began before
	tag   tag
	attr  attrState

	foreign belief // whether "<![CDATA[" begins a section here; the tree knows
	utf8    bool   // no byte of a longer character looks like ASCII
	dashes  int    // in front of this byte in a comment or an escaped script; "]" in CDATA
	fresh   bool   // nothing but dashes in the comment so far
	matched int    // so many bytes of what declare, rawEnd or rawDouble look for
	cdata   bool   // declare looks for "[CDATA["
	high    bool   // the byte before the brackets is no ASCII

	raw     [maxName]byte // the name of the raw text element that is open
	rawLen  int
	escaped uint8 // script data escaped: 1, double escaped: 2
}

// tag is one start tag or end tag.
type tag struct {
	kind   kind
	end    bool
	keep   bool  // its bytes are needed
	closed bool  // it ends with "/>"
	slash  bool  // it ends with an unquoted value that ends with "/"
	raw    bool  // the end tag of a raw text element
	length uint8 // of the name; more than maxName: too long, or not ASCII
	letter [maxName]byte
	bytes  []byte // when complete, and keep; nil: too long
}

func (t *tag) name() []byte { return t.letter[:min(t.length, maxName)] }

func (t *tag) add(c byte) {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	if t.length >= maxName || c >= 0x80 || c == 0 {
		t.length = maxName + 1
		return
	}
	t.letter[t.length] = c
	t.length++
}

// known: the name is whole.
func (t *tag) known() bool { return t.length <= maxName }

// step reads p from i on, up to the next event or change of state.
func (s *scanner) step(p []byte, i int) (int, event) {
	switch s.state {
	case text:
		return s.inText(p, i), nothing
	case less:
		return s.inLess(p, i)
	case endOpen:
		return s.inEndOpen(p, i), nothing
	case tagName:
		return s.inName(p, i)
	case tagBody:
		return s.inBody(p, i)
	case declare, bogus, comment, cdata:
		return s.inMarkup(p, i)
	default:
		return s.inRaw(p, i)
	}
}

func (s *scanner) inText(p []byte, i int) int {
	j := bytes.IndexByte(p[i:], '<')
	if j < 0 {
		return len(p)
	}
	s.state, s.start = less, i+j
	return i + j + 1
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'
}

// endsName: c ends the name of a tag.
func endsName(c byte) bool { return c == '>' || c == '/' || isSpace(c) }

func (s *scanner) inLess(p []byte, i int) (int, event) {
	switch c := p[i]; {
	case isLetter(c):
		s.openTag(false)
		return i, nothing
	case c == '/':
		s.state = endOpen
	case c == '!':
		s.state, s.matched, s.cdata = declare, 0, false
	case c == '?':
		s.state = bogus
	default:
		s.state = text
		return i, noTag
	}
	return i + 1, noTag
}

func (s *scanner) openTag(end bool) {
	s.state = tagName
	s.tag.end, s.tag.length, s.tag.raw = end, 0, false
}

func (s *scanner) inEndOpen(p []byte, i int) int {
	switch c := p[i]; {
	case isLetter(c):
		s.openTag(true)
		return i
	case c == '>':
		s.state = text
		return i + 1
	}
	s.state = bogus
	return i
}

func (s *scanner) inName(p []byte, i int) (int, event) {
	for ; i < len(p); i++ {
		if endsName(p[i]) {
			s.openBody()
			return i, named
		}
		s.tag.add(p[i])
	}
	if !s.tag.known() {
		return i, noTag
	}
	return i, nothing
}

func (s *scanner) openBody() {
	s.state, s.attr = tagBody, beforeKey
	s.tag.kind, s.tag.keep = other, false
	s.tag.closed, s.tag.slash = false, false
	if s.tag.known() {
		s.tag.kind = kindOf(s.tag.name())
	}
}

// holding: the bytes of the tag at hand are needed, or may be.
func (s *scanner) holding() bool {
	switch s.state {
	case less:
		return true
	case tagName:
		return !s.tag.end && s.tag.known()
	case tagBody:
		return s.tag.keep
	}
	return false
}

// enterRaw makes what follows the text of a raw text element.
func (s *scanner) enterRaw() {
	s.raw, s.rawLen = s.tag.letter, int(s.tag.length)
	s.state, s.escaped, s.dashes = rawText, 0, 0
}
