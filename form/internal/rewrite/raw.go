package rewrite

import "bytes"

const scriptName = "script"

// inRaw reads the text of raw text elements (sections 13.2.5.9 to 13.2.5.31). It
// ends with the end tag of the same name. A script may hide that in "<!--".
func (s *scanner) inRaw(p []byte, i int) (int, event) {
	switch s.state {
	case rawLess:
		return s.inRawLess(p, i), nothing
	case rawEnd:
		return s.inRawEnd(p, i)
	case rawDouble:
		return s.inRawDouble(p, i), nothing
	case rawBang, rawBangDash:
		return s.inRawBang(p, i), nothing
	}
	if s.escaped > 0 {
		return s.inEscaped(p, i), nothing
	}
	j := bytes.IndexByte(p[i:], '<')
	if j < 0 {
		return len(p), nothing
	}
	s.state = rawLess
	return i + j + 1, nothing
}

func (s *scanner) isScript() bool { return string(s.raw[:s.rawLen]) == scriptName }

func (s *scanner) inRawLess(p []byte, i int) int {
	s.matched, s.dashes = 0, 0
	switch c := p[i]; {
	case c == '/' && s.escaped < 2:
		s.state = rawEnd
	case c == '/':
		s.state = rawDouble
	case c == '!' && s.escaped == 0 && s.isScript():
		s.state = rawBang
	case isLetter(c) && s.escaped == 1:
		s.state = rawDouble
		return i
	default:
		s.state = rawText
		return i
	}
	return i + 1
}

// inRawEnd compares what follows "</" with the name of the element.
func (s *scanner) inRawEnd(p []byte, i int) (int, event) {
	c := p[i]
	switch {
	case s.matched < s.rawLen && c|0x20 == s.raw[s.matched] && isLetter(c):
		s.matched++
		return i + 1, nothing
	case s.matched == s.rawLen && endsName(c):
		s.openTag(true)
		s.tag.raw = true
		s.openBody()
		return i, nothing
	}
	s.state = rawText
	return i, nothing
}

// inRawDouble looks for "<script", which escapes doubly, and "</script", which
// ends that.
func (s *scanner) inRawDouble(p []byte, i int) int {
	c := p[i]
	switch {
	case s.matched < len(scriptName) && c|0x20 == scriptName[s.matched] && isLetter(c):
		s.matched++
		return i + 1
	case s.matched == len(scriptName) && endsName(c):
		s.state, s.escaped = rawText, 3-s.escaped
		return i + 1
	}
	s.state = rawText
	return i
}

func (s *scanner) inRawBang(p []byte, i int) int {
	switch {
	case p[i] != '-':
		s.state = rawText
		return i
	case s.state == rawBang:
		s.state = rawBangDash
	default:
		s.state, s.escaped, s.dashes = rawText, 1, 2
	}
	return i + 1
}

// inEscaped reads a script within "<!--" and "-->".
func (s *scanner) inEscaped(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case c == '<':
			s.state = rawLess
			return i + 1
		case c == '>' && s.dashes >= 2:
			s.escaped = 0
			return i + 1
		case c == '-':
			s.dashes++
		default:
			s.dashes = 0
		}
	}
	return i
}
