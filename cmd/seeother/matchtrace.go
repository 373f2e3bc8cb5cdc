package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// matchAnswer is what "seeother match" says.
type matchAnswer struct {
	Hops []matchHop `json:"hops"`
	End  rule.End   `json:"end"`
}

// matchHop is one answer on the way.
type matchHop struct {
	Method   string       `json:"method"`
	URL      string       `json:"url"`
	Rule     *matchRule   `json:"rule"` // null: none answers
	Status   int          `json:"status,omitempty"`
	Location string       `json:"location,omitempty"`
	Refused  string       `json:"refused,omitempty"`
	Cache    string       `json:"cache_control,omitempty"`
	Missing  bool         `json:"missing,omitempty"` // only where the app answers 404
	Next     *matchNext   `json:"next,omitempty"`
	Others   []matchOther `json:"others,omitempty"` // rules for this host and path that do not answer
}

// matchRule is a rule and where it stands.
type matchRule struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

func (r *matchRule) place() string {
	switch {
	case r.Line > 0:
		return fmt.Sprintf("%s:%d", r.File, r.Line)
	case r.Name != "":
		return r.File + " " + r.Name
	}
	return r.File
}

// matchNext is what a client does with the answer.
type matchNext struct {
	Method    string   `json:"method"`
	KeepsBody bool     `json:"keeps_body"`
	Drops     []string `json:"drops,omitempty"`
}

// matchOther is a rule that does not answer, and why.
type matchOther struct {
	matchRule

	Reason string `json:"reason"`
}

// maxOthers bounds how many other rules are listed for a hop.
const maxOthers = 20

// traced follows a request through the rules.
func traced(set *ruleSet, req rule.Request) matchAnswer {
	hops, end := set.table.Trace(req, set.origins...)
	out := matchAnswer{End: end}
	for i := range hops {
		out.Hops = append(out.Hops, hopOf(set.table, &hops[i]))
	}
	return out
}

func hopOf(table *rule.Table, h *rule.Hop) matchHop {
	out := matchHop{
		Method: h.Request.Method, URL: urlOf(&h.Request), Status: h.Status, Location: h.Location, Cache: h.Cache, Missing: h.Missing,
	}
	if h.Index >= 0 {
		r := ruleOf(table, h.Index)
		out.Rule = &r
	}
	if h.Err != nil {
		out.Refused = h.Err.Error()
	}
	if h.Next.Method != "" {
		out.Next = &matchNext{h.Next.Method, h.Next.KeepsBody, h.Next.Drops}
	}
	for _, c := range table.Explain(&h.Request) {
		if !c.Wins && len(out.Others) < maxOthers {
			out.Others = append(out.Others, matchOther{ruleOf(table, c.Index), c.Reason})
		}
	}
	return out
}

func urlOf(req *rule.Request) string {
	url := req.Scheme + "://" + req.Host + req.Path
	if req.Query != "" {
		url += "?" + req.Query
	}
	return url
}

func ruleOf(table *rule.Table, i int) matchRule {
	r := table.Rule(i)
	text := strings.Join(strings.Fields(matchesOf(&r)+" "+answerOf(&r)), " ")
	if r.Target != "" {
		text += " -> " + r.Target
	}
	return matchRule{File: r.Pos.File, Line: r.Pos.Line, Name: r.Name, Text: text}
}

// json writes one object.
func (a *matchAnswer) json(w io.Writer) error { return writeJSON(w, a) }

// print writes the way for people.
func (a *matchAnswer) print(w io.Writer) error {
	var b strings.Builder
	for i := range a.Hops {
		a.Hops[i].write(&b, i+1)
	}
	fmt.Fprintf(&b, "%s\n", a.ending())
	_, err := io.WriteString(w, b.String())
	return err
}

func (h *matchHop) write(b *strings.Builder, n int) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "   "+format+"\n", args...) }
	fmt.Fprintf(b, "%d. %s %s\n", n, cleaned(h.Method), cleaned(h.URL))
	if h.Rule == nil {
		line("no rule answers")
	} else {
		line("rule      %s  %s", cleaned(h.Rule.place()), cleaned(h.Rule.Text))
		h.writeAnswer(line)
	}
	for _, o := range h.Others {
		line("not       %s  %s: %s", cleaned(o.place()), cleaned(o.Text), o.Reason)
	}
}

func (h *matchHop) writeAnswer(line func(string, ...any)) {
	switch {
	case h.Refused != "":
		line("answer    400: %s", cleaned(h.Refused))
		return
	case h.Status == 0:
		return
	}
	line("answer    %s", strings.TrimSpace(fmt.Sprintf("%d %s %s", h.Status, http.StatusText(h.Status), h.Location)))
	if h.Missing {
		line("          only where the app answers 404")
	}
	line("cache     %s", h.Cache)
	if h.Next != nil {
		line("client    %s", h.client())
	}
}

// client says what becomes of method and body.
func (h *matchHop) client() string {
	safe := h.Method == http.MethodGet || h.Method == http.MethodHead
	switch {
	case h.Next.KeepsBody && safe:
		return "sends " + h.Next.Method + " there"
	case h.Next.KeepsBody:
		return "sends " + h.Next.Method + " there, with the same body"
	}
	return "sends " + h.Next.Method + " there; the body is dropped, with " + strings.Join(h.Next.Drops, ", ")
}

// ending is how it ends, in one line.
func (a *matchAnswer) ending() string {
	last := a.Hops[len(a.Hops)-1]
	switch a.End {
	case rule.EndApp:
		if last.Rule != nil {
			return "The rule lets the request pass: the app answers."
		}
		return "The app answers."
	case rule.EndGone:
		return "It is gone."
	case rule.EndRefused:
		return "The client gets 400."
	case rule.EndElsewhere:
		return "It leaves this site."
	case rule.EndLoop:
		return "It is a loop: no client ever arrives."
	case rule.EndTooLong:
		return fmt.Sprintf("That is more than %d hops: no client ever arrives.", seeother.MaxHops)
	}
	return string(a.End)
}
