package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seeother/seeother/test/internal/harness"
)

// libraries are those whose pages are tested, and docs/forms-scripts.md has a
// script for each.
var libraries = []string{"turbo", "htmx2", "htmx4", "unpoly", "inertia"}

// fill writes into a form's field as a person does, and presses its button.
func fill(form, title string) string {
	return fmt.Sprintf(`(() => {
		const field = document.querySelector('#%s [name=title]')
		field.value = %q
		field.dispatchEvent(new Event('input', {bubbles: true}))
		document.querySelector('#%s button').click()
	})()`, form, title, form)
}

func has(text string) string { return fmt.Sprintf(`document.body?.innerText.includes(%q)`, text) }

// scripted are steps of a person on a page of tasks, and when each is over.
var scripted = []struct{ does, done string }{
	{fill("new", "milk"), has("milk") + ` && !document.querySelector('#error')`}, // a redirect
	{fill("new", ""), has("A title is needed.")},                                 // 422
	{fill("new", "bread"), has("bread") + ` && !document.querySelector('#error')`},
	{`document.querySelector('#more').click()`, has("2 tasks ✓")}, // a part of the page, with a form in it
	{fill("add", "tea"), has("tea")},                              // a part, in answer to a POST
}

// runScripted does the steps, and returns what the page shows at the end and what its
// scripts received.
func runScripted(t *testing.T, url string) (b *harness.Tab, text string, received []received) {
	t.Helper()
	b = harness.Visit(t)
	b.Do(t, chromedp.Navigate(url+"/tasks"))
	b.Await(t, has("No tasks."))
	for _, step := range scripted {
		harness.Evaluate[any](t, b, step.does)
		b.Await(t, step.done)
		b.Await(t, quiet)
	}
	return b, harness.Evaluate[string](t, b, `document.body.innerText`), receivedBy(t, b)
}

// quiet: what scripts asked for is there, and is in the page.
const quiet = `received.every((r) => r.status) && !document.querySelector('.htmx-added, .htmx-settling, .htmx-swapping, .htmx-request')`

// received is an answer to a script.
type received struct {
	Method, Path string
	Status       string // "none": the browser gave it up
	At           string // where it came from in the end
	Headers      map[string]string
	Body         string
}

func receivedBy(t *testing.T, b *harness.Tab) []received {
	t.Helper()
	out := harness.Evaluate[[]received](t, b, `received`)
	for _, r := range out {
		delete(r.Headers, "date")
	}
	return out
}

// TestWhatScriptsSubmitPassesUntouched compares a page of each library behind
// the gateway with the same page at the app.
func TestWhatScriptsSubmitPassesUntouched(t *testing.T) {
	t.Parallel()
	for _, library := range libraries {
		for _, host := range []string{"127.0.0.1", "shop.test"} { // to which a browser tells less, over plain http
			t.Run(library+" at "+host, func(t *testing.T) {
				t.Parallel()
				wantUntouched(t, library, host)
			})
		}
	}
}

func wantUntouched(t *testing.T, library, host string) {
	t.Helper()
	alone, behind := newTasks(t, library, 0), newTasks(t, library, 0)
	g := harness.Protect(t, behind.URL)
	at := func(url string) string { return strings.Replace(url, "127.0.0.1", host, 1) }
	direct, wantText, want := runScripted(t, at(alone.URL))
	through, text, got := runScripted(t, at(g.URL))
	if text != wantText {
		t.Errorf("the page shows\n%s\nand at the app\n%s", text, wantText)
	}
	wantSame(t, "answers to scripts", describe(got), describe(want))
	wantSame(t, "requests of scripts", behind.requests(), alone.requests())
	if !slices.ContainsFunc(got, func(r received) bool { return r.Status == "422" }) {
		t.Error("no 422 reached the scripts")
	}
	if !slices.ContainsFunc(got, func(r received) bool { return strings.Contains(r.Body, "2 tasks") }) {
		t.Error("no part of a page reached the scripts")
	}
	wantSame(t, "the console", through.Complaints("status of 422"), direct.Complaints("status of 422"))
	through.WantQuiet(t, "status of 422")
}

func describe(all []received) []string {
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("%+v", r))
	}
	return out
}

func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nand at the app\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A browser that gets 302 in answer to DELETE sends DELETE to where that leads,
// and here that is the whole list.
func TestADeleteOfAScriptLandsWhereItShould(t *testing.T) {
	t.Parallel()
	for _, library := range libraries {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			app := newTasks(t, library, 0)
			g := harness.Protect(t, app.URL)
			for _, try := range []struct {
				url   string
				wiped int
				left  []string
			}{{g.URL, 0, []string{"bread"}}, {app.URL, 1, nil}} {
				app.reset(task{1, "milk"}, task{2, "bread"})
				b := harness.Visit(t)
				b.Do(t, chromedp.Navigate(try.url+"/tasks"))
				b.Await(t, has("milk"))
				harness.Evaluate[any](t, b, `document.querySelector('#delete-1').click()`)
				b.Await(t, "!"+has("milk"))
				if left, wiped := app.titles(), app.wipes(); wiped != try.wiped || !slices.Equal(left, try.left) {
					t.Errorf("at %s: the list was deleted %d times, and is %q; want %d, %q", try.url, wiped, left, try.wiped, try.left)
				}
				for _, title := range try.left {
					b.Await(t, has(title))
				}
				b.WantQuiet(t)
			}
		})
	}
}

// submitTwice submits a form of a page twice: its button, or where that would be
// of no use, as scripts do.
func submitTwice(library string) string {
	again := `document.querySelector('#new button').click()`
	if library == "turbo" { // it disables the button
		again = `document.querySelector('#new').requestSubmit()`
	}
	if strings.HasPrefix(library, "htmx") {
		again = `document.querySelector('#add button').click()`
		return fill("add", "milk") + `; setTimeout(() => ` + again + `, 50)`
	}
	return fill("new", "milk") + `; setTimeout(() => ` + again + `, 50)`
}

// TestADoubleClickWithTheKeysOfTheDocumentation does what docs/forms-scripts.md
// says for each library, and shows what happens without.
func TestADoubleClickWithTheKeysOfTheDocumentation(t *testing.T) {
	t.Parallel()
	config := filepath.Join(documented(t), "seeother.yaml")
	for _, library := range libraries {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			app := newTasks(t, library, 700*time.Millisecond)
			g := harness.RunGateway(t, app.URL, "--protect", "--config", config)
			for _, try := range []struct {
				page string
				rows int
			}{{"/tasks", 2}, {"/tasks?keys", 1}} {
				app.reset()
				b := harness.Visit(t)
				b.Do(t, chromedp.Navigate(g.URL+try.page))
				b.Await(t, has("No tasks."))
				harness.Evaluate[any](t, b, submitTwice(library))
				b.Await(t, has("milk"))
				b.Await(t, quiet)
				if got := app.titles(); len(got) != try.rows {
					t.Errorf("%s: rows %q, want %d", try.page, got, try.rows)
				}
				b.WantQuiet(t)
			}
		})
	}
}

// A plain form on a page of Turbo's has a token where the browser itself has loaded
// the page. What Turbo has fetched is a script's, and passes as it is.
func TestAPlainFormOnATurboPage(t *testing.T) {
	t.Parallel()
	const twice = `(() => { const b = document.querySelector('#plain button'); b.click(); setTimeout(() => b.click(), 50) })()`
	for _, test := range []struct {
		name, page, before string
		rows               int
	}{
		{"a page that the browser loaded", "/tasks", "", 1},
		{"a page that Turbo fetched", "/tasks", `document.querySelector('#visit').click()`, 2},
		{"a page that Turbo lets the browser load", "/tasks?reload", `document.querySelector('#visit').click()`, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := newTasks(t, "turbo", 700*time.Millisecond)
			g := harness.Protect(t, app.URL)
			b := harness.Visit(t)
			b.Do(t, chromedp.Navigate(g.URL+test.page))
			b.Await(t, has("No tasks."))
			if test.before != "" {
				harness.Evaluate[any](t, b, `document.querySelector('h1').textContent = 'before'`)
				harness.Evaluate[any](t, b, test.before)
				b.Await(t, `document.querySelector('h1').textContent === 'Tasks' && document.readyState === 'complete'`)
			}
			harness.Evaluate[any](t, b, twice)
			b.Await(t, has("Thanks for task"))
			if got := app.titles(); len(got) != test.rows {
				t.Errorf("rows %q, want %d", got, test.rows)
			}
			b.WantQuiet(t)
		})
	}
}
