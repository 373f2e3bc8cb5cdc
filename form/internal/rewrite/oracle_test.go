package rewrite

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const (
	testOrigin = "https://shop.example"
	testTarget = "/cart?a=1&b=2"
)

// testOptions number the parameters: seeother-form=1, seeother-form=2.
func testOptions() Options {
	n := 0
	return Options{
		Origin: testOrigin, Target: testTarget, ContentType: "text/html; charset=utf-8",
		Param: func() string { n++; return fmt.Sprintf("seeother-form=%d", n) },
	}
}

// rewritten is what comes out of page, written in pieces of a size; 0: at once.
func rewritten(t testing.TB, page string, size int, o Options) (string, *Writer) {
	t.Helper()
	var out bytes.Buffer
	w := New(&out, o)
	for rest := []byte(page); len(rest) > 0; {
		n := len(rest)
		if size > 0 {
			n = min(n, size)
		}
		if wrote, err := w.Write(rest[:n:n]); err != nil || wrote != n {
			t.Fatalf("writing %d bytes: %d, %v", n, wrote, err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	return out.String(), w
}

// checkPage holds what is promised of one page against the parser of
// golang.org/x/net/html: the tree stays the same but for the actions that were
// meant, and all that were meant are changed.
func checkPage(t testing.TB, page string, size int) {
	t.Helper()
	out, w := rewritten(t, page, 0, testOptions())
	if pieces, v := rewritten(t, page, size, testOptions()); pieces != out || v.GaveUp() != w.GaveUp() {
		t.Fatalf("page %q\nat once:            %q\nin pieces of %5d: %q", page, out, size, pieces)
	}
	if w.Changed() == (out == page) {
		t.Fatalf("page %q: changed is %t, and it came out as %q", page, w.Changed(), out)
	}
	if err := compare(page, out, w); err != nil {
		t.Fatalf("page %q\nbecame %q\n%v", page, out, err)
	}
}

func compare(page, out string, w *Writer) error {
	if misread(page) {
		return nil
	}
	before, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil // nested too deep
	}
	after, err := html.Parse(strings.NewReader(out))
	if err != nil {
		return fmt.Errorf("parsing what came out: %w", err)
	}
	c := comparison{
		all:    !w.GaveUp() && w.tree.doubts == 0 && w.site.base == documentBase,
		target: testTarget,
		based:  bytes.Contains(bytes.ToLower([]byte(page)), []byte("<base")),
	}
	for n := range before.Descendants() {
		c.post = c.post || n.Data == "form" && isFold(attrs(n)[":method"], "post")
	}
	return c.nodes(before, after)
}

// misread: the parser that we compare with does not follow the standard for this
// page. In an escaped script it takes "<" that begins no tag for the escape's
// end. And it compares the names of foreign elements without the case of letters
// that are not ASCII.
func misread(page string) bool {
	return scriptEscape.MatchString(page) && strayLess.MatchString(page) || foldingName.MatchString(page)
}

var (
	scriptEscape = regexp.MustCompile(`(?is)<script.*<!--`)
	strayLess    = regexp.MustCompile(`(?s)<!--.*<([^/a-zA-Z]|$)`)
	foldingName  = regexp.MustCompile(`(?i)</[a-z][^>/ ]*[\x{17f}\x{212a}]`)
)

type comparison struct {
	all   bool // that each form is changed can be expected
	based bool // there may be a base element
	post  bool // there is a form with POST

	target   string
	template bool
}

func (c *comparison) nodes(a, b *html.Node) error {
	if a.Type != b.Type || a.Data != b.Data || a.Namespace != b.Namespace {
		return fmt.Errorf("<%s> became <%s>", a.Data, b.Data)
	}
	if err := c.attributes(a, b); err != nil {
		return fmt.Errorf("<%s>: %w", a.Data, err)
	}
	if a.Type == html.ElementNode && a.Data == "template" && a.Namespace == "" && !c.template {
		c.template = true
		defer func() { c.template = false }()
	}
	x, y := a.FirstChild, b.FirstChild
	for ; x != nil && y != nil; x, y = x.NextSibling, y.NextSibling {
		if err := c.nodes(x, y); err != nil {
			return err
		}
	}
	if x != nil || y != nil {
		return fmt.Errorf("<%s> has not as many children as before", a.Data)
	}
	return nil
}

func attrs(n *html.Node) map[string]string {
	m := make(map[string]string)
	for _, a := range n.Attr {
		m[a.Namespace+":"+a.Key] = a.Val
	}
	return m
}

func (c *comparison) attributes(a, b *html.Node) error {
	before, after := attrs(a), attrs(b)
	key, posts := c.submits(a, before)
	for k, v := range after {
		old, had := before[k]
		delete(before, k)
		switch {
		case had && old == v:
			if k == key && posts == yes && c.all && ownURL(v) {
				return fmt.Errorf("%s=%q was not changed", k, v)
			}
		case k != key || posts == no || c.template:
			return fmt.Errorf("%s was changed from %q to %q", k, old, v)
		case !c.added(old, v):
			return fmt.Errorf("%s: %q is not %q and a parameter", k, v, old)
		}
		if k == key {
			key = ""
		}
	}
	if key == ":action" && posts == yes && c.all {
		return fmt.Errorf("an action was not added")
	}
	if len(before) > 0 {
		return fmt.Errorf("%v are gone", before)
	}
	return nil
}

// submits names the attribute of n that may be changed, and whether it must be.
func (c *comparison) submits(n *html.Node, has map[string]string) (string, belief) {
	if n.Type != html.ElementNode || n.Namespace != "" || c.template {
		return "", no
	}
	switch n.Data {
	case "form":
		if !isFold(has[":method"], "post") {
			return "", no
		}
		return ":action", yes
	case "button", "input":
		kind := has[":type"]
		if n.Data == "input" && !isFold(kind, "submit") && !isFold(kind, "image") ||
			n.Data == "button" && (isFold(kind, "button") || isFold(kind, "reset")) {
			return "", no
		}
		return c.overrides(n, has)
	}
	return "", no
}

func (c *comparison) overrides(n *html.Node, has map[string]string) (string, belief) {
	if _, found := has[":formaction"]; !found {
		return "", no
	}
	if method, found := has[":formmethod"]; found {
		if isFold(method, "post") {
			return ":formaction", yes
		}
		return "", no
	}
	if _, found := has[":form"]; found || !c.post {
		return "", no
	}
	return ":formaction", maybe // the form owner is not in the tree
}

var param = regexp.MustCompile(`[?&]seeother-form=[0-9]+`)

// added: now is old with one parameter, in its place.
func (c *comparison) added(old, now string) bool {
	at := param.FindAllStringIndex(now, -1)
	if len(at) == 0 {
		return false
	}
	for _, span := range at { // a page may hold some of its own
		plain := now[:span[0]] + now[span[1]:]
		first := now[span[0]] == '?'
		if first == strings.Contains(now[:span[0]], "?") || strings.Contains(now[:span[0]], "#") {
			continue
		}
		// Whatever is up to a space at the beginning does not count (URL standard).
		rest := strings.TrimLeftFunc(old, isControl)
		lead := old[:len(old)-len(rest)]
		if plain == old || plain == c.target+old || plain == lead+c.target+rest || c.based && plain == testOrigin+c.target+old {
			return true
		}
	}
	return false
}

// ownURL: an action that is surely of the page's own origin.
func ownURL(v string) bool {
	return v == "" || plainPath.MatchString(v) || strings.HasPrefix(v, testOrigin+"/")
}

var plainPath = regexp.MustCompile(`^(/?[a-z0-9]+)?(\?[a-z0-9=&]*)?$`)
