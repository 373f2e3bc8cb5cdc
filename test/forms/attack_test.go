package forms

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

// form is one that people send once too often.
type form struct {
	name   string
	open   func(p *person, mark string) // goes to it
	fill   func(p *person, mark string) // fills it with what nobody else sends; nil: there is nothing to fill
	submit string                       // its button
	done   string                       // on the page that answers it
	rows   string                       // SQL with %s for the mark: what it makes; empty: nothing

	direct, protected harm
	stays             bool // nobody goes back to it
	chromium          bool // in Chromium only, whose page about a lost form is looked for
}

// harm is what comes of sending a form once too often.
type harm struct {
	double, refresh, back int    // rows
	prompt                bool   // a refresh asks whether to send the form again
	fresh                 bool   // Back asks the app for a new form
	newer                 bool   // Back may show a form that is newer than the one that was sent
	lost                  bool   // Back finds no form, but the question whether to send another one again
	page                  string // instead of done, when the form is sent a second time
	backPage              string // instead of page, after Back
}

// once is how it should be.
var once = harm{double: 1, refresh: 1, back: 1}

// at is a form on a page of its own.
func at(path string) func(*person, string) {
	return func(p *person, _ string) { p.open(path) }
}

// attack sends each form once too often, in all three ways, through a gateway or to
// the app itself.
func attack(t *testing.T, b kind, s site, forms []form, protect bool) {
	t.Helper()
	w := newWire(t, s.url)
	at := w.url
	if protect {
		g := harness.Protect(t, w.url)
		at = g.URL
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the gateway wrote:\n%s", g.Out.Tail())
			}
		})
	}
	p := &person{browser: b.visit(t, t.Name()), t: t, site: at}
	if s.enter != nil {
		s.enter(p)
	}
	for _, f := range forms {
		if f.chromium && b.name != chromiumName {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			p.t = t
			a := attacker{person: p, app: s, wire: w, form: f, want: f.direct, protected: protect}
			if protect {
				a.want = f.protected
			}
			if protect { // else what happens depends on what the browser sent
				a.double(true)
			}
			a.double(false)
			a.refresh()
			if !f.stays {
				a.back()
			}
		})
	}
}

// marks counts what is sent, over all tests.
var marks atomic.Int32

type attacker struct {
	*person

	app  site
	wire *wire
	form form
	want harm

	protected bool
	before    int // forms that the app had answered when this one was filled
}

// start fills the form.
func (a *attacker) start(kind string) (mark string) {
	a.t.Helper()
	mark = fmt.Sprintf("%s %d", kind, marks.Add(1))
	a.form.open(a.person, mark)
	a.fillIn(mark)
	a.before = a.wire.answered()
	return mark
}

func (a *attacker) fillIn(mark string) {
	a.t.Helper()
	if a.form.fill != nil {
		a.form.fill(a.person, mark)
	}
}

func (a *attacker) wantRows(kind, mark string, want int) {
	a.t.Helper()
	harness.Within(harness.Patience, a.wire.idle)
	if a.form.rows == "" {
		return
	}
	rows := a.app.sql(a.t, fmt.Sprintf(a.form.rows, mark))
	if len(rows) != want {
		a.t.Errorf("%s: %d rows, want %d:\n%s\nat %s\nthe app got %q", kind, len(rows), want, strings.Join(rows, "\n"), a.where(), a.wire.since(0))
	}
}

// wantOneRun fails where the app has seen more than the first form, if anything
// protects it.
func (a *attacker) wantOneRun(kind string) {
	a.t.Helper()
	if runs := a.wire.answered() - a.before; a.protected && runs != 1 {
		a.t.Errorf("%s: the app got %d forms, want 1", kind, runs)
	}
}

// double clicks twice: at once, so that the browser may not even have sent the first
// form; or when the app has got that, and its answer is still on the way.
func (a *attacker) double(atOnce bool) {
	a.t.Helper()
	mark := a.start("double")
	release := a.wire.hold()
	defer release()
	button := a.find(a.form.submit)
	a.depart()
	a.press(button)
	if !atOnce {
		harness.Eventually(a.t, "the app to have got the first form", func() bool { return a.wire.answered() > a.before })
	}
	a.press(button)
	patience := 300 * time.Millisecond // for what should not come
	if a.want.double > 1 {
		patience = harness.Patience
	}
	harness.Within(patience, func() bool { return a.wire.answered() > a.before+1 })
	release()
	a.arrive(has(cmp.Or(a.want.page, a.form.done)))
	a.wantRows("two clicks", mark, a.want.double)
	a.wantOneRun("two clicks")
}

// refresh asks for the page that answers the form again.
func (a *attacker) refresh() {
	a.t.Helper()
	mark := a.start("refresh")
	a.submit(a.form.submit, a.form.done)
	before := len(a.report().Navigations)
	a.leave(step{Do: "refresh"}, "true")
	if forms := a.report().forms(before); (len(forms) > 0) != a.want.prompt {
		a.t.Errorf("a refresh sends %q, and it should ask before: %v", forms, a.want.prompt)
	}
	a.wantRows("refresh", mark, a.want.refresh)
	a.wantOneRun("refresh")
}

// back goes back to the form and sends it again.
func (a *attacker) back() {
	a.t.Helper()
	mark := a.start("back")
	path := strings.TrimPrefix(a.url(), a.site)
	a.submit(a.form.submit, a.form.done)
	before := len(a.wire.since(0))
	if a.want.lost {
		a.leave(step{Do: "back"}, has("ERR_CACHE_MISS"))
		return
	}
	a.leave(step{Do: "back"}, fmt.Sprintf("document.querySelector(%q)", a.form.submit))
	asked := slices.ContainsFunc(a.wire.since(before), func(request string) bool { return strings.HasPrefix(request, "GET "+path) })
	if asked != a.want.fresh {
		a.t.Errorf("back: the app was asked for the form again: %v, want %v", asked, a.want.fresh)
	}
	a.fillIn(mark)
	a.follow(a.form.submit, has(cmp.Or(a.want.backPage, a.want.page, a.form.done)))
	a.wantRows("back", mark, a.want.back)
	if !a.want.fresh && !a.want.newer {
		a.wantOneRun("back")
	}
}
