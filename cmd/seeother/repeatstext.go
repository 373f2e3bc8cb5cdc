package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seeother/seeother/internal/repeats"
)

// repeatsText writes the report of "seeother repeats" for people.
type repeatsText struct {
	w     *bufio.Writer // its Flush tells what went wrong
	color bool
	most  int
}

func newRepeatsText(w io.Writer, most int) *repeatsText {
	return &repeatsText{bufio.NewWriter(w), colored(w), most}
}

func (t *repeatsText) write(r *repeats.Report, sure string) error {
	s := &r.Summary
	t.part("Probably submitted twice", r.Repeats)
	t.part("Redirects that changed what was asked", r.Lost)
	t.badLines(s)
	t.notes(s)
	if s.LeftOut > 0 {
		t.line("%s less sure than %s left out (--sure low shows all)", counted(s.LeftOut, "finding"), sure)
	}
	t.total(r)
	return t.w.Flush()
}

func (t *repeatsText) line(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format+"\n", args...) // Flush tells
}

// paint colours text by an escape sequence of ANSI, on a terminal.
func (t *repeatsText) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *repeatsText) part(title string, groups []repeats.Group) {
	if len(groups) == 0 {
		return
	}
	t.line("%s\n", t.paint(bold, title))
	for i := range groups {
		if t.most > 0 && i == t.most {
			t.line("  and on %s (--max 0 shows all)\n", counted(len(groups)-i, "more route"))
			return
		}
		t.group(&groups[i])
	}
}

var classTexts = map[repeats.Class]string{
	repeats.DoubleClick: "sent twice within 2 s",
	repeats.Retry:       "sent again",
	repeats.Resubmit:    "sent again, after a page in between (refresh, Back)",
	repeats.Rerun:       "sent again, after an answer that leaves open whether it ran",
	repeats.LostMethod:  "and the fields were lost",
	repeats.MethodKept:  "and the other path got the same method",
	repeats.Loop:        "a loop",
	repeats.Chain:       "redirect after redirect",
}

func (t *repeatsText) group(g *repeats.Group) {
	what := classTexts[g.Class]
	if g.Turn != "" {
		what = g.Turn + ", " + what
	}
	if g.Hops > 0 {
		what += fmt.Sprintf(", %d redirects", g.Hops)
	}
	t.line("  %s  %s  [%s]", t.paint(yellow, fmt.Sprintf("%s x %s %s", grouped(g.Count), g.Method, g.Route)), what, g.Class)
	t.line("      sure: %s; %s", sureText(g.Sure), gapText(g))
	t.example(&g.Example)
	for _, r := range g.Reasons {
		t.line("      %s %s%s", map[string]string{"more": "+", "less": "-", "open": "?"}[r.For], r.Text, ofCount(r.Count, g.Count))
	}
	t.line("      mend: %s  %s (%s)", t.paint(cyan, g.Setting.YAML), g.Setting.What, g.Setting.Doc)
	t.line("      %s seeother explain %s\n", t.paint(faint, "explain:"), g.Card)
}

func (t *repeatsText) example(e *repeats.Example) {
	for i, r := range []repeats.Request{e.First, e.Second} {
		who := "client " + e.Client
		if i > 0 {
			who = strings.Repeat(" ", len(who))
		}
		t.line("      %s  %s:%d  %s  %s %s -> %d", who, cleaned(r.File), r.Line, r.Time.Format("2006-01-02 15:04:05.000Z"), r.Method, r.Target, r.Status)
	}
}

func ofCount(n, all int) string {
	if n == all {
		return ""
	}
	return fmt.Sprintf(" (%s of %s)", grouped(n), grouped(all))
}

func sureText(s repeats.Sure) string {
	var parts []string
	for i, n := range []int{s.High, s.Medium, s.Low} {
		if n > 0 {
			parts = append(parts, grouped(n)+" "+sureLevels[i])
		}
	}
	return strings.Join(parts, ", ")
}

func gapText(g *repeats.Group) string {
	span := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	text := span(g.Gap.P50) + " apart"
	if g.Gap.P50 != g.Gap.P95 {
		text = fmt.Sprintf("half within %s, 95 %% within %s", span(g.Gap.P50), span(g.Gap.P95))
	}
	if g.Submits > 0 {
		text += fmt.Sprintf("; of %s to this route", counted(g.Submits, "submission"))
	}
	return text
}

func (t *repeatsText) badLines(s *repeats.Summary) {
	for _, b := range s.Bad {
		t.line("%s:%d: not read: %s", cleaned(b.File), b.Line, b.Why)
	}
	if more := s.Malformed + s.Too - len(s.Bad); more > 0 {
		t.line("and %s not read", counted(more, "more line"))
	}
}

// notes say what was left out, and what limits it.
func (t *repeatsText) notes(s *repeats.Summary) {
	for _, n := range []struct {
		n          int
		noun, text string
	}{
		{s.Steady, "repetition", "by clients that send the same over and over (more than 5 in a row): not counted"},
		{s.OtherBody, "repetition", "with another length of the body: not counted"},
		{s.OtherKey, "repetition", "with another Idempotency-Key: not counted"},
		{s.Late, "line", "further out of order than the window: what belongs to them may be missing"},
		{s.Dropped, "client", "forgotten early, as --max-clients, --max-requests or the bytes held (48 MiB) were reached: some may be missing"},
		{s.Crowded, "time", "one client had too many requests in the window: some may be missing"},
		{s.Uncounted, "finding", "on more routes than are counted: left out"},
	} {
		if n.n > 0 {
			t.line("note: %s %s", counted(n.n, n.noun), n.text)
		}
	}
	if s.WholeTimes {
		t.line("note: the times are whole seconds, so that what is apart may be a second more or less")
	}
}

func (t *repeatsText) total(r *repeats.Report) {
	s := &r.Summary
	found := "nothing found"
	twice, lost := sum(r.Repeats), sum(r.Lost)
	if twice+lost > 0 {
		found = fmt.Sprintf("%s sent twice, %s that went wrong", counted(twice, "submission"), counted(lost, "redirect"))
	}
	span := ""
	if s.Requests > 0 {
		span = fmt.Sprintf(", %s to %s", s.First.Format(time.DateTime), s.Last.Format(time.DateTime+"Z07:00"))
	}
	t.line("%s, in %s (%s) of %s%s", found, counted(s.Requests, "request"), counted(s.Submissions, "submission"), counted(len(s.Files), "file"), span)
}

func sum(groups []repeats.Group) int {
	n := 0
	for i := range groups {
		n += groups[i].Count
	}
	return n
}
