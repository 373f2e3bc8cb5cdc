package repeats

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func appendInt(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

var clicks = lines("0 1.1.1.1 POST /a 303", "1 1.1.1.1 POST /a 303")

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func TestGzipAndStreams(t *testing.T) {
	t.Parallel()
	long := lines("0 9.9.9.9 GET /x 200")
	long = strings.Repeat(long, 3*firstBytes/len(long)) // more than what is looked at first
	for name, f := range map[string]File{
		"plain": text("a", clicks), "gzip": text("a.gz", zipped(clicks)), "two members": text("a.gz", zipped(long)+zipped(clicks)),
		"a stream": Stream("-", strings.NewReader(long+clicks)), "a zipped stream": Stream("-", strings.NewReader(zipped(long+clicks))),
		"an end without a newline": text("a", strings.TrimSuffix(clicks, "\n")), "CR LF": text("a", strings.ReplaceAll(clicks, "\n", "\r\n")),
	} {
		if r := mustRead(t, Options{}, f); counted(r, true)[DoubleClick] != 1 {
			t.Errorf("%s: %+v", name, r.Summary)
		}
	}
	cut := zipped(long + clicks)
	if _, err := Read(t.Context(), []File{text("a.gz", cut[:len(cut)-9])}, Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("gzip that is cut off: %v", err)
	}
}

// Rotated files come in any order, and a submission and its repetition may be in
// two of them, or in those of two servers.
func TestFilesAreReadByTime(t *testing.T) {
	t.Parallel()
	old := text("access.log.1", lines("0 1.1.1.1 GET / 200", "10 1.1.1.1 POST /a 303"))
	recent := text("access.log", lines("11 1.1.1.1 POST /a 303", "12 1.1.1.1 GET / 200", "20 2.2.2.2 POST /b 301", "40 3.3.3.3 GET / 200"))
	https := text("ssl.log", "garbage\n"+lines("5 4.4.4.4 GET / 200", "20 2.2.2.2 GET /b/ 200", "50 3.3.3.3 GET / 200"))
	for _, files := range [][]File{{old, recent, https}, {https, recent, old}, {recent, old, https}} {
		for _, most := range []int{1, 2, 32} {
			r := mustRead(t, Options{Limits: Limits{Files: most}}, files...)
			got := counted(r, true)
			if most == 32 && (got[DoubleClick] != 1 || got[LostMethod] != 1) {
				t.Errorf("%d files at one time: %v", most, got)
			}
			if r.Summary.Requests != 9 || r.Summary.Malformed != 1 || r.Summary.Bad[0] != (BadLine{"ssl.log", 1, errTime.Error()}) {
				t.Errorf("%+v", r.Summary)
			}
		}
	}
}

// One file at a time, as with hundreds of rotated ones, they follow one another by time.
func TestRotatedFilesFollowOneAnother(t *testing.T) {
	t.Parallel()
	a := text("c", lines("0 1.1.1.1 GET / 200", "1000 1.1.1.1 POST /a 303"))
	b := text("b", lines("1001 1.1.1.1 POST /a 303", "2000 1.1.1.1 POST /b 303"))
	c := text("a", lines("2001 1.1.1.1 POST /b 303", "3000 1.1.1.1 GET / 200"))
	for _, files := range [][]File{{a, b, c}, {c, a, b}, {c, b, a}} {
		if got := counted(mustRead(t, Options{Limits: Limits{Files: 1}}, files...), true); got[DoubleClick] != 2 {
			t.Errorf("%v", got)
		}
	}
}

func TestDisorderWithinTheWindowIsPutRight(t *testing.T) {
	t.Parallel()
	entry := func(end float64, took float64, request string, status int) string {
		return fmt.Sprintf(`{"msec":%.3f,"request_time":%.3f,"remote_addr":"1.1.1.1","http_user_agent":"%s","request":"%s HTTP/1.1","status":%d}`+"\n", began+end, took, chrome, request, status)
	}
	// The slow first click is logged behind the second.
	r := mustRead(t, Options{}, text("a", entry(1.5, 0.2, "POST /a", 303)+entry(9, 8.5, "POST /a", 303)))
	if got := counted(r, true); got[DoubleClick] != 1 || r.Repeats[0].Gap.P50 != 800 || r.Repeats[0].Example.First.Line != 2 {
		t.Errorf("%v %+v", got, r.Repeats)
	}
	// The page behind the redirect is logged first.
	r = mustRead(t, Options{}, text("a", entry(1.2, 0.001, "GET /a/", 200)+entry(1.201, 0.1, "POST /a", 301)))
	if got := counted(r, true); got[LostMethod] != 1 {
		t.Errorf("%v", got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 300 {
		many.WriteString(lines(fmt.Sprintf("%d 1.1.%d.%d POST /r%c/x 200", i/100, i/100, i%100, 'a'+i%26)))
	}
	sum := func(log string, l Limits) Summary { return mustRead(t, Options{Limits: l}, text("a", log)).Summary }
	if s := sum(many.String(), Limits{}); s.Dropped+s.Crowded+s.Uncounted != 0 || s.Submissions != 300 {
		t.Errorf("%+v", s)
	}
	if s := sum(many.String(), Limits{Clients: 100}); s.Dropped != 200 || s.Submissions != 300 {
		t.Errorf("clients: %+v", s)
	}
	if s := sum(many.String(), Limits{Requests: 50}); s.Dropped != 250 || s.Submissions != 300 {
		t.Errorf("requests: %+v", s)
	}
	if s := sum(many.String(), Limits{Text: 50}); s.Dropped == 0 || s.Submissions != 300 { // a target has 5 bytes
		t.Errorf("text: %+v", s)
	}
	one := lines("0 1.1.1.1 POST /a 200") + strings.Repeat(lines("1 1.1.1.1 GET /b 200"), 100)
	if s := sum(one, Limits{Each: 20}); s.Crowded == 0 || s.Submissions != 1 {
		t.Errorf("each: %+v", s)
	}
	if s := sum(strings.Repeat("x", 5000)+"\n"+clicks, Limits{Line: 1000}); s.Too != 1 || s.Requests != 2 || s.Lines != 3 {
		t.Errorf("line: %+v", s)
	}
	var pairs strings.Builder
	for c := 'a'; c <= 'z'; c++ {
		pairs.WriteString(lines(fmt.Sprintf("0 1.1.1.%d POST /%c 200", c, c), fmt.Sprintf("0 1.1.1.%d POST /%c 200", c, c)))
	}
	r := mustRead(t, Options{Limits: Limits{Routes: 10}}, text("a", pairs.String()))
	if len(r.Repeats) > 10 || counted(r, true)[DoubleClick]+r.Summary.Uncounted != 26 {
		t.Errorf("routes: %d, %+v", len(r.Repeats), r.Summary)
	}
}

// A clock that jumps to 2099 and back costs what is in the window, and no more.
func TestClocksThatJump(t *testing.T) {
	t.Parallel()
	jump := lines(fmt.Sprintf("%d 5.5.5.5 POST /z 200", 2_300_000_000), "-1700000000 6.6.6.6 POST /z 200")
	r := mustRead(t, Options{}, text("a", clicks+jump+lines("100 1.1.1.1 POST /b 303", "101 1.1.1.1 POST /b 303")+jump+lines("200 1.1.1.1 GET / 200")))
	if got := counted(r, true); got[DoubleClick] != 2 || len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Read(ctx, []File{text("a", clicks)}, Options{}); !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Format: "x"}, {Within: 1}, {Within: 2 * maxWithin}, {Limits: Limits{Line: -1}}} {
		if _, err := Read(t.Context(), nil, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestSecretsAndTerminals(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/a/17?token=x&b&c=": "/a/17?token=…&…&c=…", "/reset/abcDEF0123456789ghijKLM": "/reset/{token}", "/a?": "/a?", "/plain": "/plain",
	} {
		if got := maskQuery(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	for addr, want := range map[string]string{"203.0.113.7": "203.0.113.x", "2001:db8:1:2::3": "2001:db8:1:x", "::1": "::x", "host.example": "(name)"} {
		if got := maskAddress(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := printable("a\x1b[31m\u009b\u202eb\xff\u200b\u200e\n ä…"); got != "a�[31m��b���� ä…" {
		t.Errorf("%q", got)
	}
	for path, want := range map[string]string{
		"/users/17/edit": "/users/{id}/edit", "/o/7c9e6679-7425-40de-944b-e07fc1f90ae7": "/o/{id}", "/v1/items": "/v1/items",
		"/c/0123456789abcdef": "/c/{id}", "/2026/11/a-long-title-of-some-page-2": "/{id}/{id}/a-long-title-of-some-page-2",
		"/t/abcDEF0123456789ghijKLM": "/t/{id}", "/?q=1": "/",
	} {
		if got := routeOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	gaps := map[int64]int{0: 5, 1000: 4, 2000: 1}
	if a, b := percentile(gaps, 10, 50).Milliseconds(), percentile(gaps, 10, 95).Milliseconds(); a != 0 || b != 2000 {
		t.Errorf("%d, %d", a, b)
	}
}

func TestEveryReasonAndSettingHasAText(t *testing.T) {
	t.Parallel()
	if i := slices.Index(reasonTexts[:], ""); i >= 0 {
		t.Errorf("reason %d has none", i)
	}
	if i := slices.Index(settings[:], Setting{}); i >= 0 {
		t.Errorf("setting %d has none", i)
	}
}
