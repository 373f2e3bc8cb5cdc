package rewrite

import (
	"bytes"
	"iter"

	"golang.org/x/net/html"
)

// attribute is one of a tag, as offsets into it.
type attribute struct {
	tag    []byte
	name   [2]int
	value  [2]int
	equals int  // behind "="; 0: it has none
	quoted bool // the value
}

func (a *attribute) raw() []byte { return a.tag[a.value[0]:a.value[1]] }

func (a *attribute) is(name string) bool { return isFold(a.tag[a.name[0]:a.name[1]], name) }

// isFold compares without the case of ASCII letters; lower is in lower case.
func isFold[T string | []byte](s T, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// nameEnd is where the name of a start tag ends.
func nameEnd(tag []byte) int {
	i := 1
	for i < len(tag) && !endsName(tag[i]) {
		i++
	}
	return i
}

// attributes are those of a whole start tag, in order (sections 13.2.5.32 to
// 13.2.5.40).
func attributes(tag []byte) iter.Seq[attribute] {
	return func(yield func(attribute) bool) {
		i := nameEnd(tag)
		for {
			for i < len(tag) && (isSpace(tag[i]) || tag[i] == '/') {
				i++
			}
			if i >= len(tag) || tag[i] == '>' {
				return
			}
			a := attribute{tag: tag}
			if i = a.read(i); !yield(a) {
				return
			}
		}
	}
}

// read reads an attribute that begins at i, and returns where it ends.
func (a *attribute) read(i int) int {
	a.name[0] = i
	for i++; i < len(a.tag) && !endsName(a.tag[i]) && a.tag[i] != '='; i++ {
	}
	a.name[1] = i
	a.value = [2]int{i, i}
	j := skipSpace(a.tag, i)
	if j >= len(a.tag) || a.tag[j] != '=' {
		return i
	}
	a.equals = j + 1
	return a.readValue(skipSpace(a.tag, j+1))
}

func (a *attribute) readValue(i int) int {
	a.value = [2]int{a.equals, a.equals}
	if i >= len(a.tag) || a.tag[i] == '>' {
		return i
	}
	if quote := a.tag[i]; quote == '"' || quote == '\'' {
		end := bytes.IndexByte(a.tag[i+1:], quote)
		if end < 0 {
			return len(a.tag) // no whole tag
		}
		a.quoted, a.value = true, [2]int{i + 1, i + 1 + end}
		return i + 1 + end + 1
	}
	a.value[0] = i
	for i < len(a.tag) && a.tag[i] != '>' && !isSpace(a.tag[i]) {
		i++
	}
	a.value[1] = i
	return i
}

func skipSpace(p []byte, i int) int {
	for i < len(p) && isSpace(p[i]) {
		i++
	}
	return i
}

// find is the first attribute of a name.
func find(tag []byte, name string) (attribute, bool) {
	for a := range attributes(tag) {
		if a.is(name) {
			return a, true
		}
	}
	return attribute{}, false
}

// value is that of an attribute with its character references read.
func value(tag []byte, name string) (string, bool) {
	a, found := find(tag, name)
	if !found {
		return "", false
	}
	if raw := a.raw(); !bytes.ContainsAny(raw, "&\r\x00") {
		return string(raw), true
	}
	return decode(tag, name)
}

// decode is value for all that is not plain.
func decode(tag []byte, name string) (string, bool) {
	z := html.NewTokenizer(bytes.NewReader(tag))
	z.Next()
	for _, a := range z.Token().Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}
