package forms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// step is one thing that somebody does at a browser.
type step struct {
	Do       string   `json:"do"`
	URL      string   `json:"url,omitempty"`
	Selector string   `json:"selector,omitempty"`
	Text     string   `json:"text,omitempty"`
	Script   string   `json:"script,omitempty"`
	Files    []string `json:"files,omitempty"`
	At       *point   `json:"at,omitempty"`
}

// point is a place in the window.
type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// report is what a browser has noticed so far.
type report struct {
	Complaints  []string `json:"complaints"`  // warnings and errors on the console
	Dialogs     []string `json:"dialogs"`     // that pages opened, and the browser itself
	Navigations []string `json:"navigations"` // requests for pages: method and URL
}

// browser has one page of one person. A step does not wait for the page that it
// leads to, but for goto.
type browser interface {
	take(s step) (json.RawMessage, error)
}

// person is somebody who visits a site. What goes wrong ends the test.
type person struct {
	browser

	t    *testing.T
	site string // its URL, without a slash at the end
	left int    // pages so far
}

// atRest is JavaScript that does something with an element once that is there, and
// tries again until it has a result.
const atRest = `(async () => {
	const last = {};
	for (let i = 0; i < 1000; i++) {
		const element = document.querySelector(%[1]q);
		const done = element && document.readyState === 'complete' && (%[2]s)(element, last);
		if (done) return done;
		await new Promise((wake) => setTimeout(wake, 50));
	}
	throw new Error('not to be reached: ' + %[1]q);
})()`

// middle finds the middle of an element, once it has come to rest and nothing lies
// over it.
const middle = `(element, last) => {
	element.scrollIntoView({block: 'center', behavior: 'instant'});
	const box = element.getBoundingClientRect();
	const at = {x: box.x + box.width / 2, y: box.y + box.height / 2};
	if (at.x === last.x && at.y === last.y && element.contains(document.elementFromPoint(at.x, at.y))) return at;
	Object.assign(last, at);
}`

// replace has a text in a field instead of what is there, as if it was typed.
const replace = `(element) => {
	element.focus();
	element.select();
	if (document.activeElement !== element) return false; // its page is not ready
	%[1]q ? document.execCommand('insertText', false, %[1]q) : document.execCommand('delete');
	return element.value === %[1]q;
}`

func (p *person) do(s step) json.RawMessage {
	p.t.Helper()
	value, err := p.take(s)
	if err != nil {
		p.t.Fatalf("%s %s%s: %v\nat %s", s.Do, s.Selector, s.URL, err, p.where())
	}
	return value
}

// where describes the page, for a test that failed.
func (p *person) where() string {
	text, err := p.take(step{Do: "evaluate", Script: "location.href + '\\n' + (document.body?.innerText ?? '').slice(0, 1500)"})
	if err != nil {
		return "no page: " + err.Error()
	}
	return decode[string](p.t, text)
}

func decode[T any](t *testing.T, text json.RawMessage) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}

func (p *person) open(path string) {
	p.t.Helper()
	p.do(step{Do: "goto", URL: p.site + path})
}

func (p *person) fill(selector, text string) {
	p.t.Helper()
	p.evaluate(fmt.Sprintf(atRest, selector, fmt.Sprintf(replace, text)))
}

func (p *person) click(selector string) {
	p.t.Helper()
	p.press(p.find(selector))
}

// find is where an element is. Chromium does not say while it waits for another page.
func (p *person) find(selector string) point {
	p.t.Helper()
	return decode[point](p.t, p.evaluate(fmt.Sprintf(atRest, selector, middle)))
}

func (p *person) press(at point) {
	p.t.Helper()
	p.do(step{Do: "press", At: &at})
}

func (p *person) upload(selector, file string) {
	p.t.Helper()
	p.do(step{Do: "upload", Selector: selector, Files: []string{file}})
}

// square is a small picture in a file of a name.
func square(t *testing.T, name string) (file string) {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, 8, 8))
	var text bytes.Buffer
	if err := png.Encode(&text, picture); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), name)
	write(t, file, text.String())
	return file
}

func (p *person) evaluate(script string) json.RawMessage {
	p.t.Helper()
	return p.do(step{Do: "evaluate", Script: script})
}

// text is what the page shows, once its scripts have come to rest.
func (p *person) text() string {
	p.t.Helper()
	return decode[string](p.t, p.evaluate(`(async () => {
		let text, calm = 0;
		for (let i = 0; i < 100 && calm < 10; i++) {
			calm = text === document.body.innerText ? calm + 1 : 0;
			text = document.body.innerText;
			await new Promise((wake) => setTimeout(wake, 50));
		}
		return text;
	})()`))
}

func (p *person) url() string {
	p.t.Helper()
	return decode[string](p.t, p.evaluate("location.href"))
}

func (p *person) report() report {
	p.t.Helper()
	return decode[report](p.t, p.do(step{Do: "report"}))
}

// await waits until a JavaScript expression is true, also over the load of other
// pages.
func (p *person) await(js string) {
	p.t.Helper()
	ok := harness.Within(harness.Patience, func() bool {
		value, err := p.take(step{Do: "evaluate", Script: "Boolean(" + js + ")"})
		return err == nil && string(value) == "true"
	})
	if !ok {
		p.t.Fatalf("waited %v for %s\nat %s", harness.Patience, js, p.where())
	}
}

// depart is called before what leads to another page, and arrive waits until that has
// loaded and js is true of it.
func (p *person) depart() {
	p.t.Helper()
	p.left++
	p.evaluate(fmt.Sprintf("window.seeotherTestLeft = %d", p.left))
}

func (p *person) arrive(js string) {
	p.t.Helper()
	p.await(fmt.Sprintf("window.seeotherTestLeft !== %d && document.readyState === 'complete' && (%s)", p.left, js))
}

// leave does what leads to another page, and waits for it.
func (p *person) leave(s step, js string) {
	p.t.Helper()
	p.depart()
	p.do(s)
	p.arrive(js)
}

// follow clicks on what leads to another page, and waits for it.
func (p *person) follow(selector, js string) {
	p.t.Helper()
	p.depart()
	p.click(selector)
	p.arrive(js)
}

// submit presses a button, and waits for the page with a text.
func (p *person) submit(button, text string) {
	p.t.Helper()
	p.follow(button, has(text))
}

// has is JavaScript that is true where the page shows a text, or one of several with
// a bar between them.
func has(text string) string {
	return fmt.Sprintf("%q.split('|').some((text) => document.body.innerText.includes(text))", text)
}

// forms are the navigations after the first n that sent a form. A person is asked
// before a refresh does so.
func (r report) forms(n int) []string {
	var found []string
	for _, navigation := range r.Navigations[n:] {
		if !strings.HasPrefix(navigation, "GET ") {
			found = append(found, navigation)
		}
	}
	return found
}
