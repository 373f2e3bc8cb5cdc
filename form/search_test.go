package form

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seeother/seeother"
)

var shopSearch = Search{
	Fields:   []string{"q", "kind", "sort", "page"},
	Defaults: map[string]string{"sort": "Best match", "page": "1"},
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	all := shopSearch
	all.Only, all.Tracking, all.FoldNames, all.FoldCase = false, true, true, []string{"kind", "sort"}
	plus := Search{Fields: []string{"q"}, Defaults: map[string]string{"q": "C++"}}
	only := shopSearch
	only.Only = true
	for _, c := range []struct {
		name     string
		search   Search
		in, want string
	}{
		{"nothing", shopSearch, "", ""},
		{"in order already", shopSearch, "q=lamp&kind=a&page=2", "q=lamp&kind=a&page=2"},
		{"another order", shopSearch, "page=2&q=lamp", "q=lamp&page=2"},
		{"empty values", shopSearch, "q=lamp&kind=&sort&page=", "q=lamp"},
		{"defaults", shopSearch, "q=lamp&page=1&sort=Best+match", "q=lamp"},
		{"a default in another encoding", shopSearch, "sort=%42est%20match", ""},
		{"a default in another case", shopSearch, "sort=best+match", "sort=best+match"},
		{"all is default", shopSearch, "page=1", ""},
		{"several values keep their order", shopSearch, "kind=b&q=x&kind=a", "q=x&kind=b&kind=a"},
		{"a default among several values", shopSearch, "page=1&page=2", "page=1&page=2"},
		{"a default beside an empty one", shopSearch, "page=&page=1", ""},
		{"others come last, as they are", shopSearch, "b=&utm_source=x&q=x&a&%zz=1&Q=y", "q=x&b=&utm_source=x&a&%zz=1&Q=y"},
		{"needless ampersands", shopSearch, "&q=x&&kind=a&", "q=x&kind=a"},
		{"the encoding stays", shopSearch, "kind=%2f%2F+%20ü%C3%BC%&q=a%2526b", "q=a%2526b&kind=%2f%2F+%20ü%C3%BC%"},
		{"a name in another encoding", shopSearch, "%70age=2&%71=x", "%71=x&%70age=2"},
		{"many values keep their order", shopSearch, "kind=9&kind=8&kind=7&kind=6&kind=5&kind=4&kind=3&kind=2&kind=1&kind=0&kind=a&kind=b&kind=c&kind=d&q=x", "q=x&kind=9&kind=8&kind=7&kind=6&kind=5&kind=4&kind=3&kind=2&kind=1&kind=0&kind=a&kind=b&kind=c&kind=d"},
		{"a plus sign that is one", plus, "q=C%2B%2B", ""},
		{"a plus sign that is a space", plus, "q=C++", "q=C++"},
		{"equals signs in values", shopSearch, "kind==&q=a=b", "q=a=b&kind=="},
		{"tracking", all, "utm_source=a&UTM_x=b&q=x&gclid=1&fbclid=2&utmost=3", "q=x&utmost=3"},
		{"names in any case", all, "PAGE=2&Q=X&%4Bind=a", "q=X&kind=a&page=2"},
		{"values in any case", all, "kind=ABC%41%C3%84Ä+%2F&q=ABC", "q=ABC&kind=abca%C3%84Ä+%2F"},
		{"a lone percent sign before a letter", all, "kind=%%41f", "kind=%25af"},
		{"a default in any case", all, "sort=BEST+MATCH", ""},
		{"only what is listed", only, "b=1&page=2&q=x&utm_source=a", "q=x&page=2"},
	} {
		got, changed := c.search.Canonical(c.in)
		if got != c.want || changed != (c.in != c.want) {
			t.Errorf("%s: %q is %q, %v; want %q", c.name, c.in, got, changed, c.want)
		}
	}
	if long := "page=2&q=" + strings.Repeat("x", maxSearchQuery); true {
		if got, changed := shopSearch.Canonical(long); changed || got != long {
			t.Error("a query that is too long is changed")
		}
	}
}

func TestCanonicalOfCanonicalIsItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"q", "Q", "page", "%70age", "%50AGE", "kind", "sort", "utm_x", "b", "=", "&", "1", "%31", "Best+match", "%", "%4", "%zz", "%41", "A", "ü", "\xff", "+", "#", ";", "?", "<"})
		in := strings.Join(rapid.SliceOfN(part, 0, 30).Draw(t, "parts"), "")
		s := drawSearch(t)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		checkCanonical(t, s, in)
	})
}

func drawSearch(t *rapid.T) Search {
	s := shopSearch
	s.Only, s.Tracking, s.FoldNames = rapid.Bool().Draw(t, "only"), rapid.Bool().Draw(t, "tracking"), rapid.Bool().Draw(t, "names")
	if rapid.Bool().Draw(t, "case") {
		s.FoldCase = []string{"q", "sort"}
	}
	return s
}

type failer interface{ Fatalf(string, ...any) }

// checkCanonical follows a query until nothing changes: that must be after one step,
// also where the redirect and the browser encode it between.
func checkCanonical(t failer, s Search, in string) {
	once, _ := s.Canonical(in)
	if twice, changed := s.Canonical(once); changed {
		t.Fatalf("%q is %q is %q", in, once, twice)
	}
	target, ok := searchTarget("/search", once)
	if !ok {
		return
	}
	path, query, _ := strings.Cut(target, "?")
	if again, changed := s.Canonical(query); changed || path != "/search" {
		t.Fatalf("%q leads to %q, and that to %q", in, target, again)
	}
	if s.FoldNames || len(s.FoldCase) > 0 {
		return
	}
	left := map[string]int{}
	for piece := range strings.SplitSeq(in, "&") {
		left[piece]++
	}
	for piece := range strings.SplitSeq(once, "&") { // nothing is made up, and nothing written otherwise
		if left[piece]--; once != "" && left[piece] < 0 {
			t.Fatalf("%q is %q: where does %q come from", in, once, piece)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("page=1&q=lamp&utm_source=x&%%41f=1", uint8(0))
	f.Add("kind=%4%31&q=%%41f&&=&Q=%C3%84", uint8(255))
	f.Fuzz(func(t *testing.T, in string, bits uint8) {
		s := shopSearch
		s.Only, s.Tracking, s.FoldNames = bits&1 > 0, bits&2 > 0, bits&4 > 0
		if bits&8 > 0 {
			s.FoldCase = []string{"q", "sort"}
		}
		checkCanonical(t, s, in)
		query := s.Submitted("q=1", in)
		if target, ok := searchTarget("/search", query); ok {
			_, query, _ := strings.Cut(target, "?")
			if again, changed := s.Canonical(query); changed {
				t.Fatalf("a form %q leads to %q, and that to %q", in, target, again)
			}
		}
	})
}

// searchApp shows what reaches it.
func searchApp(s Search) http.Handler {
	return s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
	}))
}

func post(t *testing.T, server *httptest.Server, path, kind, body string) (*http.Response, string) {
	t.Helper()
	return ask(t, server, "POST", path, kind, strings.NewReader(body))
}

func ask(t *testing.T, server *httptest.Server, method, path, kind string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

const urlencoded = "application/x-www-form-urlencoded"

func TestAPostedSearchBecomesAURL(t *testing.T) {
	t.Parallel()
	var seen decisions
	s := shopSearch
	s.Observe, s.Route = seen.observe, "shop"
	server := serve(t, searchApp(s))
	for _, c := range []struct{ path, kind, body, want string }{
		{"/s", urlencoded, "csrf=secret&page=1&q=blue+lamp&go=Search", "/s?q=blue+lamp"},
		{"/s/%2F", urlencoded + ";charset=UTF-8", "q=%C3%BC&kind=a&kind=b", "/s/%2F?q=%C3%BC&kind=a&kind=b"},
		{"/s?kind=a&csrf=x", urlencoded, "q=x", "/s?q=x&kind=a"},
		{"/s?x", urlencoded, "q=", "/s"},
		{"/s", urlencoded, "", "/s"},
		{"/s", urlencoded, "q=x&csrf=" + strings.Repeat("x", maxSearchBody-9), "/s?q=x"},
		{"/s", urlencoded, "q=a#b c\"ü", "/s?q=a%23b%20c%22%C3%BC"},
		{"/s", urlencoded, "q=https://evil.example//", "/s?q=https://evil.example//"},
	} {
		resp, _ := post(t, server, c.path, c.kind, c.body)
		if resp.StatusCode != 303 || resp.Header.Get("Location") != c.want {
			t.Errorf("%s with %.80q: %d %q, want 303 %q", c.path, c.body, resp.StatusCode, resp.Header.Get("Location"), c.want)
		}
	}
	if d := seen.all[0]; d.Policy != "search" || d.Action != "303" || d.Route != "shop" || !d.Applied || d.Path != "/s" || d.After != 303 || strings.Contains(d.String(), "lamp") {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsNoSearchReachesTheAppAsItCame(t *testing.T) {
	t.Parallel()
	server := serve(t, searchApp(shopSearch))
	long := "csrf=" + strings.Repeat("x", maxSearchBody-5)
	for name, c := range map[string]struct {
		method, path, kind, body string
		chunked                  bool
	}{
		"an upload":                  {"POST", "/s", "multipart/form-data; boundary=x", "q=x", false},
		"JSON":                       {"POST", "/s", "application/json", "{}", false},
		"no type":                    {"POST", "/s", "", "q=x", false},
		"a longer body":              {"POST", "/s", urlencoded, long + "x", false},
		"a longer body in chunks":    {"POST", "/s", urlencoded, long + "x", true},
		"one too long for a URL":     {"POST", "/s", urlencoded, "q=" + long[2:], true},
		"control characters":         {"POST", "/s", urlencoded, "q=a\nb", false},
		"a path with two slashes":    {"POST", "//s", urlencoded, "q=x", false},
		"GET of such a path":         {"GET", "//s?page=1", "", "", false},
		"a path with dots":           {"POST", "/a/../s", urlencoded, "q=x", false},
		"PUT":                        {"PUT", "/s?page=1", urlencoded, "q=x", false},
		"a canonical GET":            {"GET", "/s?q=x&b=", "", "", false},
		"a GET without a query":      {"GET", "/s", "", "", false},
		"a GET with an empty one":    {"GET", "/s?", "", "", false},
		"a GET with parameters only": {"GET", "/s?utm_source=a", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader = strings.NewReader(c.body)
			if c.chunked {
				body = struct{ io.Reader }{body}
			}
			resp, got := ask(t, server, c.method, c.path, c.kind, body)
			if want := c.method + " " + c.path + " " + c.body; resp.StatusCode != 200 || got != want {
				t.Errorf("%d %.80q, want %.80q", resp.StatusCode, got, want)
			}
		})
	}
}

func TestACompressedFormIsNotRead(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/s", strings.NewReader("q=x"))
	r.Header.Set("Content-Type", urlencoded)
	r.Header.Set("Content-Encoding", "gzip")
	w := httptest.NewRecorder()
	if searchApp(shopSearch).ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// breaks says once that it broke off, and then that this was all.
type breaks struct {
	text  string
	times int
}

func (b *breaks) Read(p []byte) (int, error) {
	b.times++
	switch b.times {
	case 1:
		return copy(p, b.text), nil
	case 2:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, io.EOF
}

func TestABodyThatBreaksOffBreaksOffForTheApp(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/s", &breaks{text: "q=x"})
	r.Header.Set("Content-Type", urlencoded)
	var text []byte
	var err error
	shopSearch.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { text, err = io.ReadAll(r.Body) })).ServeHTTP(httptest.NewRecorder(), r)
	if string(text) != "q=x" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAGetIsRedirectedToTheCanonicalOneForNow(t *testing.T) {
	t.Parallel()
	server := serve(t, http.StripPrefix("/shop", searchApp(shopSearch)))
	for _, method := range []string{"GET", "HEAD"} {
		for path, want := range map[string]string{
			"/shop/s?page=1&q=blue+lamp&b=1": "/shop/s?q=blue+lamp&b=1",
			"/shop/s?page=1":                 "/shop/s",
			"/shop/s?kind=%2F%2f&q=%22'a":    "/shop/s?q=%22'a&kind=%2F%2f",
		} {
			resp, _ := ask(t, server, method, path, "", nil)
			if resp.StatusCode != 307 || resp.Header.Get("Location") != want {
				t.Errorf("%s %s: %d %q, want 307 %q", method, path, resp.StatusCode, resp.Header.Get("Location"), want)
			}
			if again, _ := ask(t, server, method, resp.Header.Get("Location"), "", nil); again.StatusCode != 200 {
				t.Errorf("%s %s: the target is redirected to %q", method, path, again.Header.Get("Location"))
			}
		}
	}
}

func TestSearchIsRolledOutByStage(t *testing.T) {
	t.Parallel()
	for stage, want := range map[seeother.Stage]struct {
		applied  bool
		observed string
	}{
		seeother.Off:        {false, ""},
		seeother.Report:     {false, "303 307"},
		seeother.Canary(1):  {false, "303 307"},
		seeother.Canary(99): {true, "303 307"},
		seeother.Enforce:    {true, "303 307"},
	} {
		var seen decisions
		s := shopSearch
		s.Stage, s.Observe, s.Client = stage, seen.observe, func(*http.Request) string { return "somebody" }
		server := serve(t, searchApp(s))
		resp, got := post(t, server, "/s", urlencoded, "q=x&csrf=y")
		if (resp.StatusCode == 303) != want.applied || !want.applied && got != "POST /s q=x&csrf=y" {
			t.Errorf("%s: %d %q", stage, resp.StatusCode, got)
		}
		if private := resp.Header.Get("Cache-Control") == "private, no-store"; private != (want.applied && stage.IsCanary()) {
			t.Errorf("%s: %v", stage, resp.Header)
		}
		if resp, _ := ask(t, server, "GET", "/s?page=1", "", nil); (resp.StatusCode == 307) != want.applied {
			t.Errorf("%s: %d", stage, resp.StatusCode)
		}
		if seen.actions() != want.observed {
			t.Errorf("%s: observed %q", stage, seen.actions())
		}
	}
}

func TestASearchThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Search{
		"no fields":                    {},
		"an empty field":               {Fields: []string{""}},
		"a field twice":                {Fields: []string{"q", "q"}},
		"a field twice in other cases": {Fields: []string{"q", "Q"}, FoldNames: true},
		"a default of no field":        {Fields: []string{"q"}, Defaults: map[string]string{"p": "1"}},
		"the case of no field":         {Fields: []string{"q"}, FoldCase: []string{"p"}},
	} {
		if s.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := (Search{Fields: []string{"q", "Q"}}).Validate(); err != nil {
		t.Error(err)
	}
}
