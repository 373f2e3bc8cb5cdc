package operation

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/seeother/seeother/once"
)

// How often a waiting page looks again: soon at first, and less often when it takes
// long, since each look is for everybody's account.
const (
	lookFirst = 2 * time.Second
	lookLast  = 10 * time.Second
	lookShare = 15 // of the time that it has taken by now
)

// silence is how long an app that reports may say nothing before the page says so.
const silence = 20 * time.Second

// waiting is what the waiting page shows.
type waiting struct {
	Percent   string // empty: not known
	Text      string
	Started   string // the time of day
	For       string // how long it has taken by now
	Silent    string // how long the app has said nothing; empty: not long
	Cancelled bool
	Cancel    string // where to post; empty: it cannot be cancelled
	Style     template.CSS
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("waiting").Parse(pageText))
	// pagePolicy lets the page use its own style and post to this site, and nothing
	// else.
	pagePolicy = "default-src 'none'; style-src '" + hashOf(pageStyle) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

func hashOf(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// showPage shows the waiting page. It looks again by itself, without a script.
func (o *Operations) showPage(w http.ResponseWriter, s once.Submission, n note) {
	now := time.Now()
	page := o.waiting(s, n, now)
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, page); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Refresh", strconv.Itoa(int(lookAgain(now.Sub(s.Started)).Seconds())))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text.Bytes()) // the client is gone, if anything
}

// lookAgain is when to look again at what has taken so long by now.
func lookAgain(took time.Duration) time.Duration {
	return min(max(took/lookShare, lookFirst), lookLast).Round(time.Second)
}

func (o *Operations) waiting(s once.Submission, n note, now time.Time) waiting {
	page := waiting{
		Started: s.Started.UTC().Format("15:04:05 UTC"), For: inWords(now.Sub(s.Started)),
		Cancelled: !n.Cancelled.IsZero(), Style: template.CSS(pageStyle), //nolint:gosec // the file beside this one
	}
	if s.Known && !o.cfg.NoCancel && !page.Cancelled {
		page.Cancel = s.URL + "/cancel"
	}
	p, ok := n.progress()
	if !ok {
		return page
	}
	page.Text = p.Text
	if p.Percent >= 0 {
		page.Percent = strconv.FormatFloat(math.Floor(p.Percent), 'f', -1, 64)
	}
	if d := now.Sub(p.At); d >= silence {
		page.Silent = inWords(d)
	}
	return page
}

// inWords is a time as people say it.
func inWords(d time.Duration) string {
	count := func(n int, of string) string {
		if n == 1 {
			return "1 " + of
		}
		return fmt.Sprintf("%d %ss", n, of)
	}
	switch s := int(max(d, 0).Seconds()); {
	case s < 120:
		return count(s, "second")
	case s < 2*60*60:
		return count(s/60, "minute")
	default:
		return count(s/3600, "hour")
	}
}
