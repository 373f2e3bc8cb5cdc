package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/internal/terminal"
	"github.com/seeother/seeother/internal/trace"
)

// writeTraceJSON writes one object.
func writeTraceJSON(w io.Writer, t *trace.Trace) error { return writeJSON(w, t) }

// traceText writes a trace for people. All that a server wrote goes through
// terminal.Escaped.
type traceText struct {
	out    strings.Builder
	colors bool
}

// writeTrace writes a trace for people.
func writeTrace(w io.Writer, t *trace.Trace, colors bool) error {
	b := &traceText{colors: colors}
	for i, hop := range t.Hops {
		b.hop(i+1, hop)
	}
	b.ending(&t.End)
	b.others(t.Others)
	_, err := io.WriteString(w, b.out.String())
	return err
}

func (b *traceText) paint(color, text string) string {
	if !b.colors {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line writes one line of a hop; nothing where the text is empty.
func (b *traceText) line(name, color, text string) {
	if text == "" {
		return
	}
	fmt.Fprintf(&b.out, "   %-9s %s\n", name, b.paint(color, terminal.Escaped(text)))
}

func (b *traceText) hop(n int, h *trace.Hop) {
	fmt.Fprintf(&b.out, "%d. %s\n", n, b.paint(bold, terminal.Escaped(h.Method+" "+h.URL)))
	b.line("sent", "", sentOf(h))
	if h.Status > 0 {
		b.line("answer", statusColor(h.Status), strings.TrimSpace(fmt.Sprintf("%d %s", h.Status, http.StatusText(h.Status)))+locationOf(h))
	}
	b.line("error", red, h.Error)
	for _, c := range h.CookiesSet {
		b.line("cookie", "", cookieOf(&c))
	}
	b.line("tls", "", tlsText(h.TLS))
	b.line("hsts", "", hstsText(h.HSTS))
	b.line("cache", "", cacheText(h.Cache))
	b.line("time", "", timeText(&h.Time, h))
	for _, note := range h.Notes {
		b.line("note", yellow, note.Text)
	}
	b.line("next", cyan, nextText(h))
}

func statusColor(status int) string {
	switch status / 100 {
	case 2:
		return green
	case 3:
		return cyan
	}
	return red
}

func sentOf(h *trace.Hop) string {
	var parts []string
	if h.BodySent > 0 {
		parts = append(parts, "a body of "+bytesOf(h.BodySent))
	}
	if len(h.CookiesSent) > 0 {
		parts = append(parts, plural(len(h.CookiesSent), "cookie")+": "+strings.Join(h.CookiesSent, ", "))
	}
	return strings.Join(parts, "; ")
}

func bytesOf(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return grouped(n) + " bytes"
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// locationOf is cut to what fits in a few lines.
func locationOf(h *trace.Hop) string {
	const most = 300
	switch {
	case h.Location == "":
		return ""
	case len(h.Location) > most:
		return " -> " + strings.ToValidUTF8(h.Location[:most], "") + "…"
	}
	return " -> " + h.Location
}

func cookieOf(c *trace.Cookie) string {
	what, marks := "sets ", []string{}
	if c.Deleted {
		what = "deletes "
	}
	for text, there := range map[string]bool{"Secure": c.Secure, "HttpOnly": c.HTTPOnly, "SameSite=" + c.SameSite: c.SameSite != "", "Domain=" + c.Domain: c.Domain != "", "Path=" + c.Path: c.Path != ""} {
		if there {
			marks = append(marks, text)
		}
	}
	slices.Sort(marks)
	if c.Name == "" {
		return "one that cannot be read"
	}
	return strings.Join(append([]string{what + c.Name}, marks...), "; ")
}

func tlsText(s *trace.TLS) string {
	if s == nil {
		return ""
	}
	text := s.Version
	if s.Subject != "" {
		text += ", certificate for " + s.Subject + " by " + s.Issuer + " until " + s.NotAfter.Format(time.DateOnly)
	}
	return text
}

func hstsText(h *trace.HSTS) string {
	switch {
	case h == nil:
		return ""
	case h.Ignored != "":
		return "not heeded: " + h.Ignored
	}
	text := "https only for " + untilStale(h.MaxAge)
	if h.Subdomains {
		text += ", subdomains too"
	}
	if h.Preload {
		text += ", preload"
	}
	return text
}

func cacheText(c *trace.Cache) string {
	switch {
	case c == nil:
		return ""
	case !c.Private:
		return "not kept: " + c.Why
	}
	text := "by the client alone, "
	if c.Shared {
		text = "by every cache, "
	}
	switch {
	case c.Forever:
		return text + "for as long as it likes: " + c.Why
	case c.Seconds == 0 && (!c.Shared || c.ForShared == 0):
		return text + "but not used without asking: " + c.Why
	}
	text += "for " + untilStale(c.Seconds)
	if c.Shared && c.ForShared != c.Seconds {
		text += ", shared caches for " + untilStale(c.ForShared)
	}
	return text + " (" + c.Why + ")"
}

// untilStale is a number of seconds for people.
func untilStale(seconds int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}} {
		if seconds >= unit.size && seconds%unit.size == 0 {
			n := seconds / unit.size
			return strconv.FormatInt(n, 10) + " " + plural(int(n), unit.name)
		}
	}
	return strconv.FormatInt(seconds, 10) + " s"
}

func timeText(t *trace.Time, h *trace.Hop) string {
	var parts []string
	for _, part := range []struct {
		name string
		ms   float64
	}{{"name", t.DNS}, {"connect", t.Connect}, {"tls", t.TLS}, {"first byte", t.FirstByte}} {
		if part.ms > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f", part.name, part.ms))
		}
	}
	text := fmt.Sprintf("%.1f ms", t.Total)
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	if h.Protocol != "" {
		text += ", " + h.Protocol
	}
	if h.Address != "" {
		text += " from " + h.Address
	}
	if h.Proxy != "" {
		text += ", through the proxy " + h.Proxy
	}
	return text
}

func nextText(h *trace.Hop) string {
	n := h.Next
	if n == nil {
		return ""
	}
	parts := []string{n.Method}
	switch {
	case n.BodyKept:
		parts = append(parts, "with the same body")
	case n.BodyDropped > 0:
		parts = append(parts, "the body of "+bytesOf(n.BodyDropped)+" is dropped")
	}
	if len(n.HeadersDropped) > 0 {
		parts = append(parts, "without "+strings.Join(n.HeadersDropped, ", "))
	}
	if n.CrossOrigin {
		parts = append(parts, "to another origin")
	}
	return strings.Join(parts, "; ")
}

var endings = map[trace.Kind]struct{ text, color string }{
	trace.Arrived:     {"Arrived", green},
	trace.ErrorStatus: {"The end", red},
	trace.Loop:        {"A loop, no client ever arrives", red},
	trace.TooMany:     {"Too many redirects", red},
	trace.Refused:     {"Refused", red},
	trace.Untrusted:   {"Not trusted", red},
	trace.TimedOut:    {"Timeout", red},
	trace.Interrupted: {"Stopped", red},
	trace.NoAnswer:    {"No answer", red},
}

func (b *traceText) ending(e *trace.End) {
	is := endings[e.Kind]
	fmt.Fprintf(&b.out, "%s: %s\n", b.paint(is.color, is.text), terminal.Escaped(e.Text))
}

func (b *traceText) others(all []trace.Other) {
	if len(all) == 0 {
		return
	}
	b.out.WriteString("\nOther clients:\n")
	var same []string
	for _, o := range all {
		if !o.Differs {
			same = append(same, o.Client)
			continue
		}
		fmt.Fprintf(&b.out, "   %-17s after %d. %s\n", o.Client, o.Hop, b.paint(yellow, terminal.Escaped(o.Text)))
	}
	if len(same) > 0 {
		fmt.Fprintf(&b.out, "   %-17s %s\n", "the same", strings.Join(same, ", "))
	}
}
