package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

// Headers between the gateway and the app. Neither is taken from a client.
const (
	// ProgressHeader says in an interim answer (1xx) how far the app is: a structured
	// field (RFC 9651), an integer or a decimal from 0 to 100, with a text beside it
	// or not: 40;text="Charging the card".
	ProgressHeader = "Seeother-Progress"
	// ProgressURLHeader tells the app where it may post how far it is.
	ProgressURLHeader = "Seeother-Progress-Url"
)

// MaxText is how much of a text is kept and shown, in bytes.
const MaxText = 200

// maxReport bounds what an app posts, in bytes.
const maxReport = 4 << 10

var errProgress = errors.New("want a number from 0 to 100, or a text, or both")

// Progress is how far an app says that it is.
type Progress struct {
	Percent float64   // 0 to 100; negative: it does not say
	Text    string    // what it is doing; may be empty
	At      time.Time // when it said so
}

func newProgress(percent *float64, text string) (Progress, error) {
	p := Progress{Percent: -1, Text: tidy(text)}
	if percent != nil {
		if p.Percent = *percent; math.IsNaN(p.Percent) || p.Percent < 0 || p.Percent > 100 {
			return Progress{}, errProgress
		}
	}
	if percent == nil && p.Text == "" {
		return Progress{}, errProgress
	}
	return p, nil
}

// then is what there is to say after q has come, too. A report that comes late must
// not take back what was shown, so that the number only grows. The last text counts.
func (p Progress) then(q Progress) Progress {
	q.Percent = max(p.Percent, q.Percent)
	if q.Text == "" {
		q.Text = p.Text
	}
	return q
}

// tidy is a text as it is kept: one line, not too long.
func tidy(text string) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= MaxText {
		return text
	}
	const dots = "…"
	end := MaxText - len(dots)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + dots
}

// parseHeader reads ProgressHeader. A text that is not ASCII is a display string
// (RFC 9651 section 3.3.8).
func parseHeader(lines []string) (Progress, error) {
	if len(lines) != 1 || len(lines[0]) > maxReport {
		return Progress{}, errProgress
	}
	item, err := httpsfv.UnmarshalItem(lines)
	if err != nil {
		return Progress{}, fmt.Errorf("%w: %w", errProgress, err)
	}
	var percent float64
	switch n := item.Value.(type) {
	case int64:
		percent = float64(n)
	case float64:
		percent = n
	default:
		return Progress{}, errProgress
	}
	said, _ := item.Params.Get("text")
	text := ""
	switch t := said.(type) {
	case string:
		text = t
	case httpsfv.DisplayString:
		text = string(t)
	}
	return newProgress(&percent, text)
}

// parseBody reads what an app posts: an object with percent, text, or both. An
// empty one says nothing, and is no error: who sends it wants to know whether it was
// cancelled.
func parseBody(r io.Reader) (p Progress, says bool, err error) {
	var said struct {
		Percent *float64 `json:"percent"`
		Text    string   `json:"text"`
	}
	body := json.NewDecoder(r)
	if err := body.Decode(&said); err != nil && err != io.EOF { //nolint:errorlint // of an empty body, Decode returns io.EOF itself
		return Progress{}, false, err
	}
	if _, err := body.Token(); err != io.EOF { //nolint:errorlint // as above
		return Progress{}, false, errProgress
	}
	if said.Percent == nil && said.Text == "" {
		return Progress{}, false, nil
	}
	p, err = newProgress(said.Percent, said.Text)
	return p, err == nil, err
}

// Report tells from inside a handler, in this process or behind a gateway, how far
// the request is: by an interim answer, 102. It must come before the answer. Where
// nobody listens it is an interim answer that nobody minds.
func Report(w http.ResponseWriter, percent float64, text string) {
	if !(percent >= 0 && percent <= 100) {
		return
	}
	item := httpsfv.NewItem(math.Round(percent*1000) / 1000) // the digits that a structured field has
	if text = tidy(text); text != "" {
		item.Params.Add("text", fieldText(text))
	}
	line, err := httpsfv.Marshal(item)
	if err != nil {
		return
	}
	w.Header().Set(ProgressHeader, line)
	w.WriteHeader(http.StatusProcessing)
	w.Header().Del(ProgressHeader)
}

// fieldText is a text as a parameter: a string where it is ASCII, and a display
// string where it is not.
func fieldText(text string) any {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return httpsfv.DisplayString(text)
		}
	}
	return text
}
