package rewrite

import (
	"bytes"

	"golang.org/x/net/html"
)

// isPost: a method or formmethod. It is an enumerated attribute, which is not
// trimmed (section 2.3.3).
func isPost(method string) bool { return isFold(method, "post") }

// submits: the button, or input, of a form sends it.
func submits(t *tag) bool {
	kind, found := value(t.bytes, "type")
	if t.kind == button {
		return !found || !isFold(kind, "button") && !isFold(kind, "reset")
	}
	return isFold(kind, "submit") || isFold(kind, "image")
}

// posts: what t, a button or an input, sends goes out with POST. in is the form
// that is open: the owner of t, but where t names another one.
func posts(t *tag, in pointer) bool {
	if method, found := value(t.bytes, "formmethod"); found {
		return isPost(method)
	}
	_, named := find(t.bytes, "form")
	return in == postForm && !named
}

// insertion is a change of a tag.
type insertion struct {
	at   int
	text string
}

// insert decides what makes the URL in an attribute of a tag carry the parameter.
func (s *site) insert(tag []byte, name string) (insertion, bool) {
	old, found := value(tag, name)
	n, ok := s.change(old)
	if !ok {
		return insertion{}, false
	}
	in, ok := place(tag, name, n)
	if !ok {
		return insertion{}, false
	}
	return in, same(tag, in, name, found, old[:n.at]+n.text+old[n.at:])
}

// place finds where in the bytes of a tag a change of an attribute's value goes.
func place(tag []byte, name string, n insertion) (insertion, bool) {
	text := html.EscapeString(n.text)
	a, found := find(tag, name)
	switch {
	case !found:
		return insertion{nameEnd(tag), " " + name + `="` + text + `"`}, true
	case a.equals == 0:
		return insertion{a.name[1], `="` + text + `"`}, true
	case len(a.raw()) == 0 && !a.quoted:
		return insertion{a.equals, `"` + text + `"`}, true
	}
	at, ok := rawOffset(a.raw(), n.at)
	return insertion{a.value[0] + at, text}, ok
}

// rawOffset is where the character at of a value stands in its source. It is only
// looked for where it can be: at both ends, before white space at the end, and at
// the first "#".
func rawOffset(raw []byte, at int) (int, bool) {
	for _, i := range []int{0, fragmentAt(raw), len(trimRight(raw))} {
		if i >= 0 && decodedLen(raw[:i]) == at {
			return i, true
		}
	}
	return 0, false
}

// fragmentAt is where the first "#" is that is not in a character reference; -1:
// nowhere.
func fragmentAt(raw []byte) int {
	for i, c := range raw {
		if c == '#' && (i == 0 || raw[i-1] != '&') {
			return i
		}
	}
	return -1
}

// decodedLen is the length of a value, given its source.
func decodedLen(raw []byte) int {
	if !bytes.ContainsAny(raw, "&\r\x00") {
		return len(raw)
	}
	tag := append(append([]byte("<a a='"), bytes.ReplaceAll(raw, []byte("'"), []byte("x"))...), "'>"...)
	v, _ := decode(tag, "a")
	return len(v)
}

// same: with in inserted, a tag is read as before, but that the attribute has the
// value want.
func same(tag []byte, in insertion, name string, had bool, want string) bool {
	both := make([]byte, 0, 2*len(tag)+len(in.text))
	both = append(both, tag...)
	both = append(both, tag[:in.at]...)
	both = append(both, in.text...)
	both = append(both, tag[in.at:]...)
	z := html.NewTokenizer(bytes.NewReader(both))
	before := read(z)
	after := read(z)
	if !had {
		before.Attr = append([]html.Attribute{{Key: name}}, before.Attr...)
	}
	return sameTag(before, after, name, want) && z.Next() == html.ErrorToken
}

func read(z *html.Tokenizer) html.Token {
	z.Next()
	return z.Token()
}

func sameTag(before, after html.Token, name, want string) bool {
	if before.Type != after.Type || before.Data != after.Data || len(before.Attr) != len(after.Attr) {
		return false
	}
	for i, b := range before.Attr {
		if b.Key == name {
			b.Val = want
		}
		if b != after.Attr[i] {
			return false
		}
	}
	return true
}
