package admin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

// node is an element of a page, or a text.
type node struct {
	name   string // empty for a text
	attrs  []xml.Attr
	text   string
	parent *node
	below  []*node
}

// parse reads a page: HTML that closes what it opens.
func parse(t *testing.T, page string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	root := &node{}
	at := root
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attrs: token.Copy().Attr, parent: at}
			at.below = append(at.below, n)
			at = n
		case xml.EndElement:
			at = at.parent
		case xml.CharData:
			at.below = append(at.below, &node{text: string(token), parent: at})
		}
	}
	if at != root {
		t.Fatalf("<%s> is not closed in %s", at.name, page)
	}
	return root
}

// all is n and all below it, in their order.
func (n *node) all() []*node {
	out := []*node{n}
	for _, b := range n.below {
		out = append(out, b.all()...)
	}
	return out
}

// elements are all elements of a name, in their order.
func elements(root *node, name string) []*node {
	var out []*node
	for _, n := range root.all() {
		if n.name == name {
			out = append(out, n)
		}
	}
	return out
}

func attribute(n *node, name string) string {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func textOf(n *node) string {
	var out strings.Builder
	for _, d := range n.all() {
		out.WriteString(d.text)
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

func byID(t *testing.T, root *node, id string) *node {
	t.Helper()
	for _, n := range root.all() {
		if attribute(n, "id") == id {
			return n
		}
	}
	t.Fatalf("the page has no %q", id)
	return nil
}

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

// hostileWorld has hostile text wherever text can come from outside.
func hostileWorld(t *testing.T) *world {
	w := start(t, Config{Listen: hostile, Upstream: hostile})
	d := decision("/" + hostile)
	d.Policy, d.Action, d.Route, d.Method, d.Reason, d.Record = hostile, hostile, hostile, hostile, hostile, hostile
	w.events.Observe(t.Context(), d)
	w.rollout.stages["see-other "+hostile] = seeother.Report
	w.breakUpstream(errors.New(hostile))
	for i := range w.once.all {
		s := &w.once.all[i]
		s.ID, s.Method, s.Host, s.Path, s.Route, s.Reason = hostile, hostile, hostile, "/"+hostile, hostile, hostile
	}
	return w
}

func TestHostileTextStaysText(t *testing.T) {
	w := hostileWorld(t)
	got := w.get(t, "/?resolved="+hostile[:2])
	root := parse(t, got.body)
	scripts := elements(root, "script")
	if len(scripts) != 1 || attribute(scripts[0], "src") != "/assets/admin.js" || textOf(scripts[0]) != "" {
		t.Errorf("%d scripts, want the page's own only", len(scripts))
	}
	if images := elements(root, "img"); len(images) != 0 {
		t.Errorf("%d images, want none", len(images))
	}
	for _, n := range root.all() {
		for _, a := range n.attrs {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" {
				t.Errorf("<%s %s=%q>: the policy forbids it", n.name, a.Name.Local, a.Value)
			}
		}
	}
	for _, id := range []string{"health", "stages", "uncertain", "decisions"} {
		if text := textOf(byID(t, root, id)); !strings.Contains(text, `"><script>alert(1)</script>`) {
			t.Errorf("%s does not show the text: %s", id, text)
		}
	}
	for _, form := range elements(root, "form") {
		if action := attribute(form, "action"); !strings.HasPrefix(action, "/once/") || strings.ContainsAny(action, `<>"`) {
			t.Errorf("a form goes to %q", action)
		}
	}
}

func TestPageShowsWhatThereIs(t *testing.T) {
	w := start(t, Config{Listen: "http://127.0.0.1:8303", Upstream: "http://127.0.0.1:3000"})
	report := decision("/uploads/1")
	report.Stage, report.Applied = seeother.Report, false
	w.events.Observe(t.Context(), report)
	w.decide(t, "/users/123")
	got := w.get(t, "/")
	root := parse(t, got.body)
	if media := got.header.Get("Content-Type"); got.status != http.StatusOK || media != "text/html; charset=utf-8" {
		t.Fatalf("status %d, Content-Type %q", got.status, media)
	}
	if title := textOf(elements(root, "title")[0]); title != "seeother (2 uncertain)" {
		t.Errorf("title %q", title)
	}
	for id, want := range map[string][]string{
		"health":    {"Ready", "ok store", "ok upstream", "Decisions 2", "Running 2", "Uncertain 2"},
		"stages":    {"once canary 10%", "see-other enforce", "see-other uploads report"},
		"uncertain": {"POST /orders on shop.example", "the gateway ended while this was running", "record first"},
	} {
		text := textOf(byID(t, root, id))
		for _, part := range want {
			// Cells stand side by side, without a space between their texts.
			if !strings.Contains(strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(part, " ", "")) {
				t.Errorf("%s: %q, want %q in it", id, text, part)
			}
		}
	}
	rows := elements(byID(t, root, "log"), "tr")
	if len(rows) != 2 || !strings.Contains(textOf(rows[0]), "DELETE /users/123") || !strings.Contains(textOf(rows[0]), "302 → 303") {
		t.Fatalf("%d decisions, the first %q, want the newest first", len(rows), textOf(rows[0]))
	}
	if attribute(rows[1], "class") != "reported" || !strings.Contains(textOf(rows[1]), "report: not changed") {
		t.Errorf("what is only reported looks like the rest: %q", textOf(rows[1]))
	}
}

func TestPageSaysWhatFails(t *testing.T) {
	w := start(t, Config{})
	w.breakUpstream(errors.New("connection refused"))
	text := textOf(byID(t, parse(t, w.get(t, "/").body), "health"))
	if !strings.Contains(text, "Not ready") || !strings.Contains(text, "fails upstream") || !strings.Contains(text, "connection refused") {
		t.Errorf("health: %q", text)
	}
}

func TestPageSaysThatTheGatewayStops(t *testing.T) {
	w := start(t, Config{})
	w.handler.Stop()
	if text := textOf(byID(t, parse(t, w.get(t, "/").body), "health")); !strings.Contains(text, "Stopping") {
		t.Errorf("health: %q", text)
	}
}

func TestThePageOutlivesItsStore(t *testing.T) {
	var log strings.Builder
	w := start(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	w.once.down = errors.New("disk /var/lib/secret is full")
	got := w.get(t, "/")
	_ = w.server.Close() // the log is still now
	if !strings.Contains(log.String(), "disk /var/lib/secret is full") {
		t.Errorf("log %q", log.String())
	}
	if got.status != http.StatusOK || !strings.Contains(got.body, "The records cannot be listed now.") || strings.Contains(got.body, "secret") {
		t.Errorf("status %d, body %s", got.status, got.body)
	}
	if strings.Contains(got.body, "None. All is known.") {
		t.Error("the page says that all is known, and knows nothing")
	}
}

func TestPageWithoutAnything(t *testing.T) {
	var w world
	w.serve(t, Config{}, Sources{})
	got := w.get(t, "/")
	for _, want := range []string{"No checks are set up.", "No policies are set up.", "Decisions are not kept.", "version unknown"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("body %s, want %q in it", got.body, want)
		}
	}
}

// The form of the page, sent as a browser sends it, resolves the record and
// leads back to the page.
func TestResolveByThePagesForm(t *testing.T) {
	for _, tt := range []struct{ as, want string }{
		{once.StateCompleted, "It is never run again."},
		{once.StateReleased, "The next request with its key runs it."},
	} {
		t.Run(tt.as, func(t *testing.T) {
			w := start(t, Config{})
			form := elements(parse(t, w.get(t, "/").body), "form")[0]
			var buttons []string
			for _, b := range elements(form, "button") {
				buttons = append(buttons, attribute(b, "name")+"="+attribute(b, "value"))
			}
			if attribute(form, "method") != "post" || attribute(elements(form, "input")[0], "name") != "note" || !strings.Contains(strings.Join(buttons, " "), "as="+tt.as) {
				t.Fatalf("the form has %q", buttons)
			}
			got := w.do(t, "POST", attribute(form, "action"), "note=%C3%84rger&as="+tt.as, asForm, "Origin: "+w.url, "Accept: text/html")
			if got.status != http.StatusSeeOther {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if s, _ := w.once.Show(t.Context(), "first"); s.State != tt.as || s.ResolvedBy != "Ärger" {
				t.Errorf("record %+v", s)
			}
			to, _, _ := strings.Cut(got.header.Get("Location"), "#")
			page := w.get(t, to)
			if !strings.Contains(page.body, tt.want) || strings.Contains(page.body, "record <code>first</code>") {
				t.Errorf("the page after it does not say %q, or still lists the record", tt.want)
			}
		})
	}
}

func TestAFormThatIsWrongChangesNothing(t *testing.T) {
	for _, tt := range []struct {
		name, path, body, media string
		status                  int
		want                    string
	}{
		{"another state", "/once/first/resolve", "as=expired", asForm, 400, "invalid-request"},
		{"nothing", "/once/first/resolve", "", asForm, 400, "invalid-request"},
		{"the state in the query", "/once/first/resolve?as=released", "", asForm, 400, "invalid-request"},
		{"JSON", "/once/first/resolve", `{"as":"released"}`, asJSON, 400, "invalid-request"},
		{"a form that is none", "/once/first/resolve", "%zz", asForm, 400, "invalid-request"},
		{"a note without end", "/once/first/resolve", "as=released&note=" + strings.Repeat("x", maxBody), asForm, 413, "body-too-large"},
		{"a record that is settled", "/once/second/resolve", "as=released", asForm, 409, "not-resolvable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, Config{})
			got := w.do(t, "POST", tt.path, tt.body, tt.media)
			if got.status != tt.status || problemType(t, got) != tt.want {
				t.Errorf("status %d: %s", got.status, got.body)
			}
			if s, _ := w.once.Show(t.Context(), "first"); s.State != once.StateUncertain {
				t.Errorf("record %+v", s)
			}
		})
	}
}

func TestAPersonSeesAProblemAsAPage(t *testing.T) {
	w := start(t, Config{})
	got := w.do(t, "POST", "/once/second/resolve", "as=released", asForm, "Accept: text/html")
	if got.status != http.StatusConflict || got.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(got.body, "Record cannot be resolved") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

func TestPageGoesThroughManyRecords(t *testing.T) {
	w := start(t, Config{})
	for i := range pageRecords {
		s := w.once.all[0]
		s.ID = fmt.Sprint("more-", i)
		w.once.all = append(w.once.all, s)
	}
	root := parse(t, w.get(t, "/").body)
	if n := len(elements(root, "article")); n != pageRecords {
		t.Errorf("%d records on the first page, want %d", n, pageRecords)
	}
	links := map[string]string{}
	for _, a := range elements(byID(t, root, "uncertain"), "a") {
		links[textOf(a)] = attribute(a, "href")
	}
	if len(links) != 1 || links["More"] != "/?cursor=next#uncertain" {
		t.Errorf("links %v, want More", links)
	}
	last := w.get(t, "/?cursor=next")
	text := textOf(byID(t, parse(t, last.body), "uncertain"))
	if !strings.Contains(text, "No more.") || !strings.Contains(text, "First page") || strings.Contains(text, "All is known") {
		t.Errorf("the last page says %q", text)
	}
}

// A cursor is the store's, and may hold anything.
func TestACursorIsEscaped(t *testing.T) {
	var out strings.Builder
	if err := pageTemplate.Execute(&out, pageData{status: status{Once: &once.Stats{}}, Cursor: `a&b="c"#d`}); err != nil {
		t.Fatal(err)
	}
	for _, a := range elements(parse(t, out.String()), "a") {
		if textOf(a) == "More" {
			if href := attribute(a, "href"); href != "/?cursor=a%26b%3d%22c%22%23d#uncertain" {
				t.Errorf("More leads to %q", href)
			}
			return
		}
	}
	t.Error("there is no link to more")
}

// The policy allows only what the page's own files need: each must be there,
// and nothing may stand in the page itself.
func TestThePageLoadsOnlyItsOwnFiles(t *testing.T) {
	w := start(t, Config{})
	root := parse(t, w.get(t, "/").body)
	media := map[string]string{}
	for _, link := range append(elements(root, "link"), elements(root, "script")...) {
		path := attribute(link, "href") + attribute(link, "src")
		got := w.get(t, path)
		if got.status != http.StatusOK || got.body == "" {
			t.Errorf("%s: status %d", path, got.status)
		}
		media[path] = got.header.Get("Content-Type")
	}
	want := map[string]string{
		"/assets/icon.svg": "image/svg+xml", "/assets/admin.css": "text/css; charset=utf-8", "/assets/admin.js": "text/javascript; charset=utf-8",
	}
	if fmt.Sprint(media) != fmt.Sprint(want) {
		t.Errorf("files %v, want %v", media, want)
	}
	if styles := elements(root, "style"); len(styles) != 0 {
		t.Error("the page has styles of its own, which the policy forbids")
	}
}

// Everything that is named is there, each name once, and each field has a label.
func TestThePageIsAccessible(t *testing.T) {
	root := parse(t, start(t, Config{}).get(t, "/").body)
	ids := map[string]int{}
	for _, n := range root.all() {
		if id := attribute(n, "id"); id != "" {
			ids[id]++
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("id %q comes %d times", id, n)
		}
	}
	for _, n := range root.all() {
		if id := attribute(n, "aria-labelledby"); id != "" && ids[id] == 0 {
			t.Errorf("<%s> is labelled by %q, which is not there", n.name, id)
		}
		if n.name == "input" && n.parent.name != "label" {
			t.Errorf("input %q has no label", attribute(n, "name"))
		}
	}
	if lang := attribute(elements(root, "html")[0], "lang"); lang != "en" {
		t.Errorf("lang %q", lang)
	}
	if n := len(elements(root, "h1")); n != 1 {
		t.Errorf("%d headings of the first level, want 1", n)
	}
}
