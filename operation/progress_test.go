package operation

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestProgressHeader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		lines   []string
		percent float64
		text    string
		bad     bool
	}{
		{"an integer", []string{"40"}, 40, "", false},
		{"a decimal", []string{"12.5"}, 12.5, "", false},
		{"nothing", []string{"0"}, 0, "", false},
		{"all", []string{"100"}, 100, "", false},
		{"with a text", []string{`40;text="Charging the card"`}, 40, "Charging the card", false},
		{"with a text that is not ASCII", []string{`40;text=%"gr%c3%b6%c3%9fer"`}, 40, "größer", false},
		{"with another parameter", []string{`40;step=2;text="a"`}, 40, "a", false},
		{"with a text that is none", []string{`40;text=7`}, 40, "", false},
		{"too small", []string{"-1"}, 0, "", true},
		{"a bit too much", []string{"100.001"}, 0, "", true},
		{"no number", []string{`"40"`}, 0, "", true},
		{"a word", []string{"half"}, 0, "", true},
		{"true", []string{"?1"}, 0, "", true},
		{"a list", []string{"40, 50"}, 0, "", true},
		{"twice", []string{"40", "50"}, 0, "", true},
		{"empty", []string{""}, 0, "", true},
		{"none", nil, 0, "", true},
		{"a percent sign", []string{"40%"}, 0, "", true},
		{"very long", []string{`40;text="` + strings.Repeat("a", maxReport) + `"`}, 0, "", true},
	} {
		p, err := parseHeader(test.lines)
		if (err != nil) != test.bad || p.Percent != test.percent || p.Text != test.text {
			t.Errorf("%s: %+v, %v", test.name, p, err)
		}
		if err != nil && !errors.Is(err, errProgress) {
			t.Errorf("%s: error %v", test.name, err)
		}
	}
}

func TestTextsAreOneLineAndNotLong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"as it is", "Charging the card", "Charging the card"},
		{"lines", "a\r\nb\tc\u2028d", "a b c d"},
		{"control characters", "a\x00b\x1b[31m\u0085c", "a b [31m c"},
		{"bytes that are no text", "a\xffb", "ab"},
		{"spaces", "  a   b  ", "a b"},
		{"nothing but spaces", " \n ", ""},
		{"as long as may be", strings.Repeat("a", MaxText), strings.Repeat("a", MaxText)},
		{"longer", strings.Repeat("a", MaxText+1), strings.Repeat("a", MaxText-3) + "…"},
		{"longer, of wide letters", strings.Repeat("ö", MaxText), strings.Repeat("ö", (MaxText-3)/2) + "…"},
	} {
		if got := tidy(test.in); got != test.want || len(got) > MaxText {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestReportsGoForward: a number that was shown is not taken back, and the last text
// counts.
func TestReportsGoForward(t *testing.T) {
	t.Parallel()
	n := note{Generation: 1}
	for _, test := range []struct {
		percent float64
		text    string
		want    float64
		shown   string
	}{
		{-1, "begin", -1, "begin"},
		{40, "", 40, "begin"},
		{30, "late", 40, "late"},
		{-1, "on", 40, "on"},
		{41, "", 41, "on"},
	} {
		n.report(Progress{Percent: test.percent, Text: test.text, At: epoch})
		if p, ok := n.progress(); !ok || p.Percent != test.want || p.Text != test.shown {
			t.Errorf("after %v %q: %+v", test.percent, test.text, p)
		}
	}
}

// TestReportSaysItInOneInterimAnswer looks at what a handler sends.
func TestReportSaysItInOneInterimAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		percent float64
		text    string
		want    string // empty: nothing
	}{
		{"a number", 40, "", "40.0"},
		{"a text", 40, "a \"b\"", `40.0;text="a \"b\""`},
		{"a text that is not ASCII", 1.0 / 3, "größer", `0.333;text=%"gr%c3%b6%c3%9fer"`},
		{"too much", 100.5, "", ""},
		{"too little", -1, "", ""},
		{"no number", math.NaN(), "", ""},
	} {
		w := &interimRecorder{ResponseRecorder: httptest.NewRecorder()}
		Report(w, test.percent, test.text)
		if got := strings.Join(w.said, ","); got != test.want || w.Header().Get(ProgressHeader) != "" {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if test.want != "" {
			if p, err := parseHeader(w.said); err != nil || math.Abs(p.Percent-test.percent) > 0.001 || p.Text != test.text {
				t.Errorf("%s: read as %+v, %v", test.name, p, err)
			}
		}
	}
}

type interimRecorder struct {
	*httptest.ResponseRecorder
	said []string
}

func (w *interimRecorder) WriteHeader(status int) {
	if status == http.StatusProcessing {
		w.said = append(w.said, w.Header().Get(ProgressHeader))
	}
}

// mustBeShowable holds what is shown to its bounds.
func mustBeShowable(t *testing.T, p Progress) {
	t.Helper()
	if math.IsNaN(p.Percent) || p.Percent > 100 || p.Percent < 0 && p.Percent != -1 || len(p.Text) > MaxText || !utf8.ValidString(p.Text) || strings.ContainsFunc(p.Text, unicode.IsControl) {
		t.Fatalf("%+v", p)
	}
}

// FuzzProgressHeader reads what apps may send. What is read can be sent again.
func FuzzProgressHeader(f *testing.F) {
	for _, seed := range []string{"40", `40;text="Charging the card"`, `12.5;text=%"gr%c3%b6%c3%9fer"`, "-1", "100.001", `40;text=?1`, "", "40, 50"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, err := parseHeader([]string{line})
		if err != nil {
			return
		}
		mustBeShowable(t, p)
		w := &interimRecorder{ResponseRecorder: httptest.NewRecorder()}
		Report(w, p.Percent, p.Text)
		again, err := parseHeader(w.said)
		if err != nil || math.Abs(again.Percent-p.Percent) > 0.0005 || again.Text != p.Text {
			t.Fatalf("%q: %+v, then %+v, %v", line, p, again, err)
		}
	})
}

// FuzzReportBody reads what apps may post, and shows it.
func FuzzReportBody(f *testing.F) {
	for _, seed := range []string{`{"percent":40,"text":"Charging the card"}`, `{"text":"<script>\u0000"}`, `{}`, ``, `null`, `[1]`, `{"percent":1e9}`, `{"percent":1}{}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p, says, err := parseBody(strings.NewReader(body))
		if !says || err != nil {
			return
		}
		mustBeShowable(t, p)
		p.At = epoch
		n := note{Generation: 1}
		n.report(p)
		page := pageOf(t, n)
		if n := strings.Count(page, "<"); n != strings.Count(pageOf(t, note{}), "<")+tagsOfProgress(p) {
			t.Fatalf("%q makes markup: %s", body, page)
		}
	})
}

// tagsOfProgress is how many tags the page has for it.
func tagsOfProgress(p Progress) int {
	switch {
	case p.Text != "":
		return 4 // p, bdi, and their ends
	default:
		return 2
	}
}

func TestANumberThatIsNoneIsNoReport(t *testing.T) {
	t.Parallel()
	for _, n := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.001, 100.001} {
		if p, err := newProgress(&n, "text"); err == nil {
			t.Errorf("%v became %+v", n, p)
		}
		w := httptest.NewRecorder()
		if Report(w, n, "text"); w.Header().Get(ProgressHeader) != "" || w.Code != http.StatusOK {
			t.Errorf("%v was sent: %d %v", n, w.Code, w.Header())
		}
	}
}
