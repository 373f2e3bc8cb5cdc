package once

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/store/memstore"
)

// formPolicy takes the token and the browser from headers.
func formPolicy(change func(*Forms)) Policy {
	f := &Forms{
		Only: true,
		Of:   func(r *http.Request) string { return r.Header.Get("Test-Token") },
		Browser: func(r *http.Request) Principal {
			if secret := r.Header.Get("Test-Browser"); secret != "" {
				return NewBrowser(secret)
			}
			return Principal{}
		},
	}
	if change != nil {
		change(f)
	}
	return Policy{Forms: f}
}

// submission of a form; the cookie shows that a browser's cookies do no harm.
func submission(token, browser, target, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", "session=a")
	r.Header.Set("Test-Token", token)
	r.Header.Set("Test-Browser", browser)
	return r
}

func sendForm(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// numbered answers with the number of its run and what was sent.
func numbered(runs *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := runs.Add(1)
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10)+" "+string(body[:min(len(body), 20)]))
	}
}

func TestAFormThatIsSubmittedAgain(t *testing.T) {
	t.Parallel()
	again := func(w http.ResponseWriter, _ *http.Request, s Sent) {
		_, _ = io.WriteString(w, "again "+string(s.Again)+" after "+string(s.Body))
	}
	for name, c := range map[string]struct {
		change        func(*Forms)
		token, by, to string
		body, want    string
		status        int
		runs          int64
	}{
		"with the same fields gets the first answer":    {token: "t", by: "b", to: "/buy", body: "n=1", want: "1 n=1", runs: 1},
		"with other fields is a new submission":         {token: "t", by: "b", to: "/buy", body: "n=2", want: "2 n=2", runs: 2},
		"with other fields may be refused":              {change: func(f *Forms) { f.Reject = true }, token: "t", by: "b", to: "/buy", body: "n=2", status: 422, runs: 1},
		"of another page is another form":               {token: "u", by: "b", to: "/buy", body: "n=1", want: "2 n=1", runs: 2},
		"with the token of another browser is its own":  {token: "t", by: "c", to: "/buy", body: "n=1", want: "2 n=1", runs: 2},
		"to another target is its own":                  {token: "t", by: "b", to: "/buy?x=1", body: "n=1", want: "2 n=1", runs: 2},
		"without a token is none":                       {by: "b", to: "/buy", body: "n=1", want: "2 n=1", runs: 2},
		"without a browser is none":                     {token: "t", to: "/buy", body: "n=1", want: "2 n=1", runs: 2},
		"later, with the same fields, is asked about":   {change: func(f *Forms) { f.SameFor, f.Again = time.Nanosecond, again }, token: "t", by: "b", to: "/buy", body: "n=1", want: "again n=1 after 1 n=1", runs: 1},
		"later, with other fields, is a new submission": {change: func(f *Forms) { f.SameFor, f.Again = time.Nanosecond, again }, token: "t", by: "b", to: "/buy", body: "n=2", want: "2 n=2", runs: 2},
		"soon, with the same fields, is not asked":      {change: func(f *Forms) { f.Again = again }, token: "t", by: "b", to: "/buy", body: "n=1", want: "1 n=1", runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			h := newGuard(t, memstore.New(), Config{}).Handler(formPolicy(c.change), numbered(&runs))
			if w := sendForm(h, submission("t", "b", "/buy", "n=1")); w.Body.String() != "1 n=1" {
				t.Fatalf("first: %d %s", w.Code, w.Body)
			}
			w := sendForm(h, submission(c.token, c.by, c.to, c.body))
			if c.status == 0 {
				c.status = 200
			}
			if w.Code != c.status || c.want != "" && w.Body.String() != c.want || runs.Load() != c.runs {
				t.Errorf("%d %q after %d runs, want %d %q after %d", w.Code, w.Body, runs.Load(), c.status, c.want, c.runs)
			}
		})
	}
}

func TestACorrectedFormRunsOnceToo(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	h := newGuard(t, memstore.New(), Config{}).Handler(formPolicy(nil), numbered(&runs))
	for _, c := range []struct{ body, want string }{
		{"n=1", "1 n=1"}, {"n=2", "2 n=2"}, {"n=2", "2 n=2"}, {"n=1", "1 n=1"}, {"n=3", "3 n=3"}, {"n=2", "2 n=2"},
	} {
		if w := sendForm(h, submission("t", "b", "/buy", c.body)); w.Body.String() != c.want {
			t.Errorf("%s: %d %q, want %q", c.body, w.Code, w.Body, c.want)
		}
	}
}

func TestWhileAFormRunsEveryOtherWaitsForIt(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	inner := numbered(&runs)
	h := newGuard(t, memstore.New(), Config{}).Handler(formPolicy(nil), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-goOn
		inner(w, r)
	}))
	answers := make(chan string, 10)
	var all sync.WaitGroup
	send := func(body string) {
		all.Go(func() { answers <- sendForm(h, submission("t", "b", "/buy", body)).Body.String() })
	}
	send("n=1")
	<-begun
	for i := range 9 {
		send("n=" + strconv.Itoa(i))
	}
	time.AfterFunc(50*time.Millisecond, func() { close(goOn) })
	all.Wait()
	close(answers)
	for a := range answers {
		if a != "1 n=1" {
			t.Errorf("answer %q, want the first one", a)
		}
	}
}

func TestAnUploadThatIsSentAgain(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3<<20)
	for name, c := range map[string]struct {
		body  string
		spool int64
		code  int
		want  string
		runs  int64
	}{
		"the same":          {body: "1" + large, code: 200, want: "1 1xxxxxxxxxxxxxxxxxxx", runs: 1},
		"another":           {body: "2" + large, code: 200, want: "2 2xxxxxxxxxxxxxxxxxxx", runs: 2},
		"longer":            {body: "1" + large + "y", code: 200, want: "2 1xxxxxxxxxxxxxxxxxxx", runs: 2},
		"more than is kept": {body: "1" + large, spool: 1 << 20, code: 413, runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			inner := numbered(&runs)
			h := newGuard(t, memstore.New(), Config{Spool: c.spool}).Handler(formPolicy(nil), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner(w, r)
			}))
			if w := sendForm(h, submission("t", "b", "/up", "1"+large)); w.Code != 200 {
				t.Fatalf("first: %d %s", w.Code, w.Body)
			}
			for range 2 { // the second is a double click of what was corrected
				w := sendForm(h, submission("t", "b", "/up", c.body))
				if w.Code != c.code || c.want != "" && w.Body.String() != c.want || runs.Load() != c.runs {
					t.Errorf("%d %q after %d runs, want %d %q after %d", w.Code, w.Body, runs.Load(), c.code, c.want, c.runs)
				}
			}
		})
	}
}

// A double click cuts the first submission off while it is sent. It must not be in
// doubt then.
func TestAnUploadThatIsCutOffStartsNothing(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	g := newGuard(t, memstore.New(), Config{})
	h := g.Handler(formPolicy(nil), numbered(&runs))
	large := strings.Repeat("x", 3<<20)
	cut := submission("t", "b", "/up", "")
	cut.Body, cut.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(large[:2<<20]), failingReader{})), int64(len(large))
	if w := sendForm(h, cut); w.Code != http.StatusBadRequest || runs.Load() != 0 {
		t.Fatalf("cut off: %d after %d runs", w.Code, runs.Load())
	}
	for range 2 {
		if w := sendForm(h, submission("t", "b", "/up", large)); w.Code != 200 || runs.Load() != 1 {
			t.Errorf("whole: %d after %d runs", w.Code, runs.Load())
		}
	}
	if n := g.spooled.Load(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestUploadsThatHaveNoPlaceOnDiskStream(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	h := newGuard(t, memstore.New(), Config{SpoolTotal: 1}).Handler(formPolicy(nil), numbered(&runs))
	large := strings.Repeat("x", 3<<20)
	if w := sendForm(h, submission("t", "b", "/up", large)); w.Code != 200 || runs.Load() != 1 {
		t.Errorf("first: %d after %d runs", w.Code, runs.Load())
	}
	if w := sendForm(h, submission("t", "b", "/up", large)); w.Code != http.StatusServiceUnavailable || runs.Load() != 1 {
		t.Errorf("again: %d after %d runs", w.Code, runs.Load())
	}
}

func TestAFormInDoubtIsNotRepeatedWhateverIsInIt(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	h := newGuard(t, memstore.New(), Config{}).Handler(formPolicy(nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	sendForm(h, submission("t", "b", "/buy", "n=1"))
	for _, body := range []string{"n=1", "n=2"} {
		w := sendForm(h, submission("t", "b", "/buy", body))
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "of this form") || strings.Contains(w.Body.String(), "Idempotency-Key") {
			t.Errorf("%s: %d %s, want 409 in words of forms", body, w.Code, w.Body)
		}
	}
	if runs.Load() != 1 {
		t.Errorf("%d runs, want 1", runs.Load())
	}
}

func TestFormsAloneGuardNoKeys(t *testing.T) {
	t.Parallel()
	for _, only := range []bool{true, false} {
		var runs atomic.Int64
		h := newGuard(t, memstore.New(), Config{}).Handler(formPolicy(func(f *Forms) { f.Only = only }), numbered(&runs))
		for range 2 {
			r := submission("", "", "/buy", "n=1")
			r.Header.Set("Idempotency-Key", `"k"`)
			r.Header.Del("Cookie")
			sendForm(h, r)
		}
		if want := map[bool]int64{true: 2, false: 1}[only]; runs.Load() != want {
			t.Errorf("only forms %t: %d runs, want %d", only, runs.Load(), want)
		}
	}
}

func TestAClaimOfATrustedProxyIsPartOfTheBrowser(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	p := formPolicy(nil)
	p.Principal = PrincipalRule{Header: "X-User", Trusted: func(*http.Request) bool { return true }}.Of
	h := newGuard(t, memstore.New(), Config{}).Handler(p, numbered(&runs))
	for _, user := range []string{"ada", "tim", "ada"} {
		r := submission("t", "b", "/buy", url.Values{"n": {"1"}}.Encode())
		r.Header.Set("X-User", user)
		sendForm(h, r)
	}
	if runs.Load() != 2 {
		t.Errorf("%d runs, want one for each person", runs.Load())
	}
}

// Browsers name themselves. What they leave in doubt stops no key.
func TestFormsInDoubtStopNoKeys(t *testing.T) {
	t.Parallel()
	p := formPolicy(func(f *Forms) { f.Only = false })
	h := newGuard(t, memstore.New(), Config{MaxUncertain: 3, MaxUncertainForms: 5}).Handler(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Test-Browser") != "" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	for i := range 5 {
		if w := sendForm(h, submission("t", "b"+strconv.Itoa(i), "/buy", "n=1")); w.Code != http.StatusBadGateway {
			t.Fatalf("form %d: %d", i, w.Code)
		}
	}
	if w := sendForm(h, submission("t", "another", "/buy", "n=1")); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a form over the cap: %d, want 503", w.Code)
	}
	if w := post(h, "k", "body"); w.Code != http.StatusOK {
		t.Errorf("a key: %d %s", w.Code, w.Body)
	}
}
