package rewrite

import "slices"

// belief is what is known of a yes or no.
type belief uint8

const (
	no belief = iota
	maybe
	yes
)

// The limits of what is kept of foreign content. What is more is not followed.
const (
	maxFrames = 128
	maxSeen   = 64
)

// space is the namespace of an element.
type space uint8

const (
	htmlSpace space = iota
	svgSpace
	mathSpace
)

// frame is an element that is open.
type frame struct {
	name  int // where it ends in names
	space space
	point point
}

// point: a foreign element that has HTML in it (section 13.2.6).
type point uint8

const (
	noPoint   point = iota
	htmlPoint       // HTML integration point
	mathPoint       // MathML text integration point
)

// foreign follows svg and math elements. Of the elements that are open it knows
// those within the outermost svg or math. They are certain as long as each tag
// does what it says; where a tag's meaning depends on what is open below, or on
// the list of active formatting elements, frames are given up.
type foreign struct {
	frames []frame
	names  []byte

	// lost: it is not known whether this is foreign content.
	lost bool
	// unsure: this is HTML, but perhaps within an svg or math.
	unsure bool
	// seen are the foreign elements that were open at some time.
	seen    map[string]bool
	seenAll bool // they were too many
}

// clean: no svg and no math element is open.
func (f *foreign) clean() bool { return len(f.frames) == 0 && !f.lost && !f.unsure }

// current is the namespace of the current node, of which CDATA sections depend.
func (f *foreign) current() belief {
	switch top := f.top(); {
	case f.lost, top == nil && f.unsure:
		return maybe
	case top != nil && top.space != htmlSpace:
		return yes
	}
	return no
}

func (f *foreign) top() *frame {
	if len(f.frames) == 0 {
		return nil
	}
	return &f.frames[len(f.frames)-1]
}

func (f *foreign) nameOf(i int) []byte {
	from := 0
	if i > 0 {
		from = f.frames[i-1].name
	}
	return f.names[from:f.frames[i].name]
}

func (f *foreign) push(name []byte, s space, p point) {
	f.names = append(f.names, name...)
	f.frames = append(f.frames, frame{len(f.names), s, p})
	if s != htmlSpace {
		f.see(name)
	}
}

// popTo leaves n frames.
func (f *foreign) popTo(n int) {
	f.frames = f.frames[:n]
	f.names = f.names[:0]
	if n > 0 {
		f.names = f.names[:f.frames[n-1].name]
	}
}

func (f *foreign) see(name []byte) {
	switch {
	case f.seen[string(name)]:
		return
	case len(f.seen) >= maxSeen:
		f.seenAll = true
		return
	case f.seen == nil:
		f.seen = make(map[string]bool)
	}
	f.seen[string(name)] = true
}

// maybeOpen: an element of that name may be open and foreign.
func (f *foreign) maybeOpen(name []byte) bool { return f.seenAll || f.seen[string(name)] }

// lose: what comes may be foreign or not.
func (f *foreign) lose() {
	f.popTo(0)
	f.lost, f.unsure = true, true
}

// doubt: what comes is HTML, and svg or math may be open.
func (f *foreign) doubt() {
	f.popTo(0)
	f.lost, f.unsure = false, true
}

// reset: all that was open is closed.
func (f *foreign) reset() {
	f.popTo(0)
	f.lost, f.unsure = false, false
}

// start follows a start tag. The answer says whether the rules for HTML are
// used for it.
func (f *foreign) start(t *tag) belief {
	top := f.top()
	switch {
	case f.lost:
		return f.startLost(t)
	case top == nil && f.unsure && staysMath(t):
		f.lose()
		return f.startLost(t)
	case f.tangles(t):
		f.lose()
		return maybe
	case top != nil && top.space != htmlSpace && !f.entersHTML(top, t):
		return f.startForeign(top, t)
	}
	f.startHTML(t)
	return yes
}

// tangles: t may close what is open down to a part of a table. Some parsers take
// elements of svg and math for such parts when they have the name of one.
func (f *foreign) tangles(t *tag) bool {
	if !t.kind.ofTable() || f.clean() {
		return false
	}
	for name := range f.seen {
		if tables[name] {
			return true
		}
	}
	return f.seenAll
}

// staysMath: t is no HTML where other start tags are, in a MathML text integration
// point.
func staysMath(t *tag) bool {
	name := string(t.name())
	return name == "mglyph" || name == "malignmark"
}

func (f *foreign) startLost(t *tag) belief {
	if breakouts.has(t.name()) {
		f.doubt()
		return yes
	}
	if t.known() {
		f.see(t.name())
	} else {
		f.seenAll = true
	}
	return maybe
}

// entersHTML: t is HTML, within a foreign element (section 13.2.6).
func (f *foreign) entersHTML(top *frame, t *tag) bool {
	switch top.point {
	case htmlPoint:
		return true
	case mathPoint:
		return !staysMath(t)
	}
	return top.space == mathSpace && t.kind == svg && string(f.nameOf(len(f.frames)-1)) == "annotation-xml"
}

func (f *foreign) startForeign(top *frame, t *tag) belief {
	switch breaks := breaksOut(t); {
	case breaks == maybe, t.kind == annotation && t.bytes == nil, breaks == no && t.slash, !t.known(), len(f.frames) >= maxFrames:
		f.lose()
		return maybe
	case breaks == yes:
		f.breakOut()
		f.startHTML(t)
		return yes
	case !t.closed:
		f.push(t.name(), top.space, pointOf(top.space, t))
	}
	return no
}

// breaksOut: t ends foreign content.
func breaksOut(t *tag) belief {
	switch {
	case breakouts.has(t.name()):
		return yes
	case t.kind != font:
		return no
	case t.bytes == nil:
		return maybe
	}
	for a := range attributes(t.bytes) {
		if a.is("color") || a.is("face") || a.is("size") {
			return yes
		}
	}
	return no
}

// breakOut closes what is foreign on top.
func (f *foreign) breakOut() {
	n := len(f.frames)
	for n > 0 && f.frames[n-1].space != htmlSpace && f.frames[n-1].point == noPoint {
		n--
	}
	f.popTo(n)
}

func pointOf(s space, t *tag) point {
	switch name := string(t.name()); {
	case s == svgSpace && (name == "foreignobject" || name == "desc" || name == "title"):
		return htmlPoint
	case s == mathSpace && (name == "mi" || name == "mo" || name == "mn" || name == "ms" || name == "mtext"):
		return mathPoint
	case s == mathSpace && t.kind == annotation && holdsHTML(t):
		return htmlPoint
	}
	return noPoint
}

// holdsHTML: the encoding of an annotation-xml is that of HTML.
func holdsHTML(t *tag) bool {
	value, found := value(t.bytes, "encoding")
	return found && (isFold(value, "text/html") || isFold(value, "application/xhtml+xml"))
}

// startHTML follows the start tag of an HTML element within svg or math. svg and
// math themselves are for enter.
func (f *foreign) startHTML(t *tag) {
	name := t.name()
	switch {
	case len(f.frames) == 0, t.kind == svg, t.kind == math, voids.has(name) && !entangled.has(name) && !blocks.has(name):
	case !t.known(), len(f.frames) >= maxFrames, entangled.has(name), f.closes(name):
		f.doubt()
	case !voids.has(name) && !t.kind.isRaw():
		f.push(name, htmlSpace, noPoint)
	}
}

// closes: the start tag may close an element that is open in the innermost
// integration point. An a that is open further out goes from among what is open.
func (f *foreign) closes(name []byte) bool {
	if string(name) == "a" && f.hasLink() {
		return true
	}
	if !blocks.has(name) && !closed.has(name) {
		return false
	}
	for i := len(f.frames) - 1; i >= 0 && f.frames[i].space == htmlSpace; i-- {
		if closed.has(f.nameOf(i)) {
			return true
		}
	}
	return false
}

func (f *foreign) hasLink() bool {
	for i := range f.frames {
		if f.frames[i].space == htmlSpace && string(f.nameOf(i)) == "a" {
			return true
		}
	}
	return false
}

// enter follows the start tag of an svg or math in HTML.
func (f *foreign) enter(t *tag) {
	s := svgSpace
	if t.kind == math {
		s = mathSpace
	}
	switch {
	case t.slash, len(f.frames) >= maxFrames:
		f.lose()
	case !t.closed:
		f.push(t.name(), s, noPoint)
	}
}

// end follows an end tag. The answer says whether the rules for HTML are used
// for it. template: one is open.
func (f *foreign) end(t *tag, template bool) belief {
	name := t.name()
	closesP := string(name) == "p" || string(name) == "br"
	switch top := f.top(); {
	case f.lost && !closesP:
		return maybe
	case f.tangles(t):
		f.lose()
		return maybe
	case top == nil:
		f.endOutside(name, closesP)
		return yes
	case top.space == htmlSpace:
		f.endHTML(name)
		return yes
	case closesP:
		f.breakOut()
		if len(f.frames) > 0 {
			f.doubt()
		}
		return yes
	}
	return f.endForeign(t, template)
}

// endOutside follows an end tag where no frame is known.
func (f *foreign) endOutside(name []byte, closesP bool) {
	switch {
	case f.lost && closesP:
		f.doubt()
	case f.unsure && f.maybeOpen(name):
		f.lose()
	}
}

func (f *foreign) endHTML(name []byte) {
	n := len(f.frames) - 1
	if slices.Equal(f.nameOf(n), name) {
		f.popTo(n)
		return
	}
	f.doubt()
}

// endForeign looks for the foreign element that t closes (section 13.2.6.5, any
// other end tag).
func (f *foreign) endForeign(t *tag, template bool) belief {
	n := len(f.frames) - 1
	for ; n >= 0 && f.frames[n].space != htmlSpace; n-- {
		if slices.Equal(f.nameOf(n), t.name()) {
			f.popTo(n)
			return no
		}
	}
	if t.kind != form || template || n >= 0 || f.unsure {
		f.lose()
	}
	return yes // a form goes from among what is open, and nothing else
}
