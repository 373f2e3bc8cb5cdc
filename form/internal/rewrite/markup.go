package rewrite

import "bytes"

// cdataOpen is what follows "<!" where a CDATA section begins.
const cdataOpen = "[CDATA["

// inMarkup reads what begins with "<!" and its like (sections 13.2.5.41 to
// 13.2.5.71).
func (s *scanner) inMarkup(p []byte, i int) (int, event) {
	switch s.state {
	case declare:
		return s.inDeclare(p, i)
	case comment:
		return s.inComment(p, i), nothing
	case cdata:
		return s.inCDATA(p, i)
	}
	j := bytes.IndexByte(p[i:], '>')
	if j < 0 {
		return len(p), nothing
	}
	s.state = text
	return i + j + 1, nothing
}

// inDeclare tells comments and CDATA sections from the rest, doctypes too, which
// ends with the next ">".
func (s *scanner) inDeclare(p []byte, i int) (int, event) {
	c := p[i]
	switch {
	case !s.cdata && c == '-':
		if s.matched++; s.matched == len("--") {
			s.state, s.dashes, s.fresh = comment, 0, true
		}
	case (s.cdata || s.matched == 0) && c == cdataOpen[s.matched]:
		s.cdata = true
		if s.matched++; s.matched == len(cdataOpen) {
			return i + 1, s.openCDATA()
		}
	default:
		s.state = bogus
		return i, nothing
	}
	return i + 1, nothing
}

func (s *scanner) openCDATA() event {
	switch s.foreign {
	case no:
		s.state = bogus
	case yes:
		s.state, s.dashes, s.high = cdata, 0, false
	case maybe:
		return unclear
	}
	return nothing
}

// inComment looks for "-->", "--!>", and for ">" and "->" at the beginning. The
// "!" counts as a third kind of dash: dashes is then negative.
func (s *scanner) inComment(p []byte, i int) int {
	if s.dashes == 0 && !s.fresh {
		j := bytes.IndexByte(p[i:], '-')
		if j < 0 {
			return len(p)
		}
		i += j
	}
	if s.endsComment(p[i]) {
		s.state = text
	}
	return i + 1
}

// bang is the value of dashes behind "--!".
const bang = -1

func (s *scanner) endsComment(c byte) bool {
	fresh := s.fresh
	switch {
	case c == '>' && (s.dashes >= 2 || s.dashes == bang || fresh):
		return true
	case c == '-' && s.dashes == bang:
		s.dashes = 1
	case c == '-':
		s.dashes++
		return false // still fresh
	case c == '!' && s.dashes >= 2:
		s.dashes = bang
	default:
		s.dashes = 0
	}
	s.fresh = false
	return false
}

// inCDATA looks for "]]>". In an encoding with two bytes for a character, the
// second may look like "]".
func (s *scanner) inCDATA(p []byte, i int) (int, event) {
	if s.dashes == 0 {
		j := bytes.IndexByte(p[i:], ']')
		if j < 0 {
			s.high = p[len(p)-1] >= 0x80
			return len(p), nothing
		}
		if j > 0 {
			s.high = p[i+j-1] >= 0x80
		}
		s.dashes = 1
		return i + j + 1, nothing
	}
	switch c := p[i]; {
	case c == ']':
		s.dashes++
	case c == '>' && s.dashes >= 2:
		s.state = text
		if s.high && s.dashes == 2 && !s.utf8 {
			return i + 1, unclear
		}
	default:
		s.dashes, s.high = 0, c >= 0x80
	}
	return i + 1, nothing
}
