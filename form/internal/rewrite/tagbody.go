package rewrite

import "bytes"

// attrState is where in the attributes of a tag the scanner is (sections
// 13.2.5.32 to 13.2.5.40).
type attrState uint8

const (
	beforeKey attrState = iota
	inKey
	afterKey
	beforeValue
	inDouble
	inSingle
	inBare
	solidus // "/", which closes the tag if ">" follows
)

// inBody reads the attributes of a tag.
func (s *scanner) inBody(p []byte, i int) (int, event) {
	for i < len(p) {
		switch s.attr {
		case inDouble:
			i = s.quoted(p, i, '"')
			continue
		case inSingle:
			i = s.quoted(p, i, '\'')
			continue
		}
		c := p[i]
		i++
		if c == '>' {
			s.closeTag()
			return i, complete
		}
		s.attr = s.next(c)
	}
	return i, nothing
}

func (s *scanner) quoted(p []byte, i int, quote byte) int {
	j := bytes.IndexByte(p[i:], quote)
	if j < 0 {
		return len(p)
	}
	s.attr = beforeKey
	return i + j + 1
}

func (s *scanner) closeTag() {
	s.state = text
	s.tag.closed = s.attr == solidus
	s.tag.slash = s.tag.slash && s.attr == inBare
}

// next is the state behind c, which is not ">" and in no quotes.
func (s *scanner) next(c byte) attrState {
	switch s.attr {
	case inKey, afterKey:
		return s.behindKey(c)
	case beforeValue:
		return s.value(c)
	case inBare:
		s.tag.slash = c == '/'
		if isSpace(c) {
			return beforeKey
		}
		return inBare
	}
	switch {
	case isSpace(c):
		return beforeKey
	case c == '/':
		return solidus
	}
	return inKey // "=" too begins a name
}

func (s *scanner) behindKey(c byte) attrState {
	switch {
	case isSpace(c):
		return afterKey
	case c == '/':
		return solidus
	case c == '=':
		return beforeValue
	}
	return inKey
}

func (s *scanner) value(c byte) attrState {
	switch {
	case isSpace(c):
		return beforeValue
	case c == '"':
		return inDouble
	case c == '\'':
		return inSingle
	}
	s.tag.slash = c == '/'
	return inBare
}
