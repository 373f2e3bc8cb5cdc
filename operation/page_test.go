package operation

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
)

// epoch is when runs of these tests began.
var epoch = time.Date(2026, 11, 26, 11, 42, 54, 0, time.UTC)

var pageOps = &Operations{cfg: Config{}.withDefaults()}

// pageOf is the waiting page of a run, as it is shown at this moment.
func pageOf(t testing.TB, n note) string {
	t.Helper()
	w := httptest.NewRecorder()
	pageOps.showPage(w, once.Submission{Record: "r", URL: DefaultStatusPath + "r", Started: epoch, Known: true}, n)
	if w.Code != 200 {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestThePageHasNoScriptAndItsOwnStyle holds it to its Content-Security-Policy.
func TestThePageHasNoScriptAndItsOwnStyle(t *testing.T) {
	t.Parallel()
	page := pageOf(t, note{})
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	if !ok || !strings.Contains(pagePolicy, "'"+hashOf(style)+"'") {
		t.Errorf("the style of the page is not that of %q: %q", pagePolicy, style)
	}
	banned := regexp.MustCompile(`<script|javascript:|\son[a-z]+=|\sstyle=|https?:|unsafe-`)
	if bad := banned.FindString(strings.ReplaceAll(page, style, "") + pagePolicy); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	for _, want := range []string{`<html lang="en">`, `<progress aria-labelledby="h" max="100">`, `role="status" aria-live="polite"`, "prefers-color-scheme:dark", "<title>Still working</title>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// TestWhatThePageSays looks at a run that has taken 90 seconds.
func TestWhatThePageSays(t *testing.T) {
	t.Parallel()
	now := epoch.Add(90 * time.Second)
	forty := 40.9
	known := once.Submission{URL: "/status/r", Started: epoch, Known: true}
	for _, test := range []struct {
		name string
		s    once.Submission
		n    note
		want waiting
	}{
		{"nothing was reported", known, note{}, waiting{Cancel: "/status/r/cancel"}},
		{"a number", known, note{Percent: &forty, At: now}, waiting{Percent: "40", Cancel: "/status/r/cancel"}},
		{"a text, a while ago", known, note{Text: "a", At: now.Add(-silence)}, waiting{Text: "a", Silent: "20 seconds", Cancel: "/status/r/cancel"}},
		{"it was cancelled", known, note{Cancelled: now}, waiting{Cancelled: true}},
		{"nobody known sent it", once.Submission{URL: "/status/r", Started: epoch}, note{}, waiting{}},
	} {
		test.want.Started, test.want.For = "11:42:54 UTC", "90 seconds"
		got := pageOps.waiting(test.s, test.n, now)
		got.Style = ""
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestHowOftenThePageLooksAgain(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		-time.Hour: 2 * time.Second, 0: 2 * time.Second, 30 * time.Second: 2 * time.Second, time.Minute: 4 * time.Second, 100 * time.Second: 7 * time.Second,
		150 * time.Second: 10 * time.Second, time.Hour: 10 * time.Second,
	} {
		if got := lookAgain(took); got != want {
			t.Errorf("after %s: %s, want %s", took, got, want)
		}
	}
}

func TestTimesInWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 seconds", 1500 * time.Millisecond: "1 second", 119 * time.Second: "119 seconds", 2 * time.Minute: "2 minutes",
		119 * time.Minute: "119 minutes", 2 * time.Hour: "2 hours", 100 * time.Hour: "100 hours",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
