package guide

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/seeother/seeother"
)

// deletesTask is a page whose script deletes a task, and then looks at its project.
func deletesTask(front func(http.Handler) http.Handler) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		return &page{
			html: `<script>` + tellScript + `
fetch("/projects/7/tasks/3", {method: "DELETE"}).then(() => fetch("/projects/7")).then(r => tell("later, the project has status " + r.status))
</script>`,
			app:    w.handler(front(projects())),
			failed: func(told string) bool { return strings.HasSuffix(told, "404") },
		}, nil
	}
}

// inOrder is a script that does one thing for each page of the app that is shown, in
// this order; a page that Back shows again counts.
func inOrder(things ...string) string {
	return `<script>` + tellScript + `
const things = [` + strings.Join(things, ", ") + `]
addEventListener("pageshow", () => setTimeout(() => {
  const n = Number(sessionStorage.n || 0)
  sessionStorage.n = n + 1
  things[n]?.()
}))
</script>`
}

const (
	sendForm    = `() => document.forms[0].submit()`
	tellsOrders = `() => fetch("` + count + `").then(r => r.text()).then(n => tell("orders stored: " + n))`
)

func twoOrders(told string) bool { return told == "orders stored: 2" }

// scripted has each page of an app carry a script, too.
func scripted(app http.Handler, js string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == count {
			app.ServeHTTP(w, r)
			return
		}
		got := httptest.NewRecorder()
		app.ServeHTTP(got, r)
		if got.Code == http.StatusOK {
			got.Header().Set("Content-Type", "text/html")
			got.Body.WriteString(js)
		}
		answer(w, got.Code, got.Header())
		_, _ = w.Write(got.Body.Bytes())
	})
}

// shopPage is a page that goes to the form of an app, whose pages have a script.
func shopPage(app http.Handler, js string) *page {
	return &page{html: `<script>location = "/order"</script>`, app: scripted(app, js), failed: twoOrders}
}

// refreshes sends the form, and reloads the page that answers.
func refreshes(a formApp) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		return shopPage(w.handler(a.handler()), inOrder(sendForm, `() => location.reload()`, tellsOrders)), nil
	}
}

// goesBack sends the form, goes back and sends it again.
func goesBack(a formApp) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, _ *Lab, w *witness) (*page, error) {
		return shopPage(w.handler(a.handler()), inOrder(sendForm, `() => history.back()`, sendForm, tellsOrders)), nil
	}
}

// clicksTwice clicks the form's button, and again while the first order is being made.
func clicksTwice(a formApp) func(context.Context, *Lab, *witness) (*page, error) {
	return func(ctx context.Context, _ *Lab, w *witness) (*page, error) {
		return shopPage(w.handler(untilSecond(ctx, a.handler())), inOrder(`async () => {
    document.forms[0].submit()
    await fetch("/first-has-come")
    document.forms[0].submit()
  }`, tellsOrders)), nil
	}
}

// untilSecond has the first POST wait for a second one, so that both run at a time,
// and those after it for the first one's end. GET /first-has-come is answered when the
// first one is there. A browser breaks the first one off when it sends the second: it
// waits until ctx is over, and the others until their own requests are.
func untilSecond(ctx context.Context, app http.Handler) http.Handler {
	var posts atomic.Int32
	var again sync.Once
	first, second, made := make(chan struct{}), make(chan struct{}), make(chan struct{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/first-has-come":
			await(r.Context(), first)
		case r.Method != http.MethodPost:
			app.ServeHTTP(w, r)
		case posts.Add(1) == 1:
			defer close(made)
			body := bytes.NewBuffer(nil)
			_, _ = body.ReadFrom(http.MaxBytesReader(w, r.Body, mostRead)) // a form of the lab's own
			close(first)
			await(ctx, second)
			r = r.WithContext(context.WithoutCancel(r.Context()))
			r.Body = http.MaxBytesReader(w, readCloser{body}, mostRead)
			app.ServeHTTP(w, r)
		default:
			again.Do(func() { close(second) })
			app.ServeHTTP(w, r)
			await(r.Context(), made)
		}
	})
}

// await waits for one of two ends.
func await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// followsNext is a page whose script opens the login with each payload, in a Chromium
// for which evil.example is a server of the lab.
func followsNext(good func(string) bool) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, lab *Lab, w *witness) (*page, error) {
		var left atomic.Bool
		evil := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			left.Store(true)
			w.note("the browser is at %s", r.Host)
		})
		plainHTTP, err := lab.Serve(evil)
		if err != nil {
			return nil, err
		}
		secure, err := lab.ServeTLS(evil)
		if err != nil {
			return nil, err
		}
		var visits strings.Builder
		for _, next := range nextPayloads {
			fmt.Fprintf(&visits, "await fetch(%q, {mode: \"no-cors\"}).catch(() => {})\n", "/login?next="+url.QueryEscape(next))
		}
		rules := fmt.Sprintf("MAP evil.example:80 %s, MAP evil.example:443 %s", strings.TrimPrefix(plainHTTP, "http://"), strings.TrimPrefix(secure, "https://"))
		return &page{
			html: `<script type="module">` + tellScript + "\n" + visits.String() + `tell("it has opened all of them")</script>`,
			app:  w.handler(loginPage(good)()),
			// The lab's certificate does not name evil.example.
			args:   []string{"--host-resolver-rules=" + rules, "--ignore-certificate-errors"},
			failed: func(string) bool { return left.Load() },
		}, nil
	}
}

// logsIn is a page whose form is a login, which a policy stands before.
func logsIn(p seeother.Policy) func(context.Context, *Lab, *witness) (*page, error) {
	return func(_ context.Context, lab *Lab, w *witness) (*page, error) {
		var home atomic.Pointer[string] // set before the browser comes
		partner, err := lab.Serve(w.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got := fmt.Sprintf("the partner got the password: %t", r.PostFormValue("password") == "secret")
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, `<link rel=icon href=data:,><script>fetch(%q, {method: "POST", mode: "no-cors", body: %q})</script>`, *home.Load()+"/told", got) //nolint:gosec // a page of the lab's own
		})))
		if err != nil {
			return nil, err
		}
		lab.Name(partner, "https://partner.example")
		return &page{
			html: `<form method="post" action="/login"><input name="password" value="secret"></form><script>
addEventListener("load", () => document.forms[0].submit())
</script>`,
			app: w.handler(p.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				sendTo(w, http.StatusTemporaryRedirect, partner+"/welcome")
			}))),
			before: func(_ *page, base string) { home.Store(&base) },
			failed: func(told string) bool { return strings.HasSuffix(told, "true") },
		}, nil
	}
}
