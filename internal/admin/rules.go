package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Rules are the redirect rules as an operator sees them. Methods are called
// concurrently.
type Rules interface {
	// Summary is what is in force; it costs nothing.
	Summary() RulesSummary
	// List is one page of the rules, in the order in which they were read. A
	// cursor of another listing, or of rules that were read again meanwhile, is
	// ErrInvalid.
	List(ctx context.Context, q RuleQuery) (RulePage, error)
}

// RulesSummary is which rules are in force, and since when.
type RulesSummary struct {
	Rules    int         `json:"rules"` // without those that canonical makes, which are a file of Files
	Files    []RulesFile `json:"files"`
	Loaded   time.Time   `json:"loaded,omitzero"`
	Warnings int         `json:"warnings"` // of the checks when they were read
	// Refused says why files that changed since are not in force; empty: what
	// is in them is.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refusedAt,omitzero"`
}

// RulesFile is a file that rules are from.
type RulesFile struct {
	File  string `json:"file"`
	Rules int    `json:"rules"`
}

// The words of RuleQuery.Which.
const (
	RulesAll    = "all"
	RulesUsed   = "used"
	RulesUnused = "unused" // counted since RuleQuery.Since or longer, and not hit since
	RulesYoung  = "young"  // counted only since later, and not hit: it may have been used before
)

// ruleKinds are what ?which= may name.
var ruleKinds = []string{RulesAll, RulesUsed, RulesUnused, RulesYoung}

// RuleQuery says which rules to list.
type RuleQuery struct {
	Which  string
	Since  time.Time // a day; zero: all that is known
	Cursor string
	Limit  int
}

// RulePage is a part of the rules. Cursor is empty on the last one. The numbers
// are of all rules, also of those on other pages.
type RulePage struct {
	Now    time.Time `json:"now"` // the store's clock
	Since  time.Time `json:"since,omitzero"`
	Total  int       `json:"total"`
	Used   int       `json:"used"`
	Unused int       `json:"unused"`
	Young  int       `json:"young"`
	Rules  []RuleUse `json:"rules"`
	Cursor string    `json:"cursor"`
}

// RuleUse is a rule and how it is used, by all gateways on the store.
type RuleUse struct {
	Name    string    `json:"name,omitempty"`
	File    string    `json:"file"`
	Line    int       `json:"line,omitempty"`
	Matches string    `json:"matches"` // host and path, for people
	Answer  string    `json:"answer"`  // the status or what is meant, for people
	Target  string    `json:"target,omitempty"`
	Stage   string    `json:"stage"`
	Hits    uint64    `json:"hits"`
	Last    time.Time `json:"last,omitzero"`  // the day of the last hit
	First   time.Time `json:"first,omitzero"` // the day since which hits are counted
}

func (h *Handler) showRules(w http.ResponseWriter, _ *http.Request) error {
	if h.src.Rules == nil {
		return errNotConfigured
	}
	out := h.src.Rules.Summary()
	out.Files = append([]RulesFile{}, out.Files...)
	return writeJSON(w, http.StatusOK, out)
}

func (h *Handler) listRules(w http.ResponseWriter, r *http.Request) error {
	if h.src.Rules == nil {
		return errNotConfigured
	}
	q, err := ruleQuery(r)
	if err != nil {
		return err
	}
	page, err := h.src.Rules.List(r.Context(), q)
	if err != nil {
		return err
	}
	page.Rules = append([]RuleUse{}, page.Rules...)
	return writeJSON(w, http.StatusOK, page)
}

func ruleQuery(r *http.Request) (RuleQuery, error) {
	values := r.URL.Query()
	q := RuleQuery{Which: values.Get("which"), Cursor: values.Get("cursor")}
	if q.Which == "" {
		q.Which = RulesAll
	}
	if !slices.Contains(ruleKinds, q.Which) {
		return q, &inputError{fmt.Sprintf("which %q: want %s", q.Which, strings.Join(ruleKinds, ", "))}
	}
	if text := values.Get("since"); text != "" {
		var err error
		if q.Since, err = time.Parse(time.DateOnly, text); err != nil {
			return q, &inputError{fmt.Sprintf("since %q: want a day, such as 2026-03-01", text)}
		}
	}
	limit, err := intParam(r, "limit", 100, 1, maxPage)
	q.Limit = limit
	return q, err
}

// ruleRoutes are the routes about redirect rules.
func (h *Handler) ruleRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/rules", handle: h.showRules,
			doc: operation{
				id: "showRules", tag: "rules", summary: "Which redirect rules are in force, and whether files that changed since were refused.",
				answers: answers{200: {"The rules in force.", mediaJSON, "RulesSummary"}},
			},
		},
		{
			method: "GET", path: "/api/v1/rules/list", handle: h.listRules,
			doc: operation{
				id: "listRules", tag: "rules", summary: "Redirect rules and how they are used, page by page.",
				params: []param{
					{name: "which", in: "query", about: "used, unused or young (not hit, and counted only since later) since a day; all where left out.", schema: enum(ruleKinds...)},
					{name: "since", in: "query", about: "That day, in UTC; where left out, all that is known.", schema: schema{"type": "string", "format": "date"}},
					{name: "cursor", in: "query", about: "From the page before.", schema: text()},
					{name: "limit", in: "query", about: "How many; 100 where left out.", schema: integer(1, maxPage)},
				},
				answers: answers{200: {"One page.", mediaJSON, "Rules"}},
			},
		},
	}
}

// ruleSchemas are the values of ruleRoutes.
func ruleSchemas() map[string]schema {
	count := func() schema { return integer(0, -1) }
	return map[string]schema{
		"RulesSummary": object(map[string]schema{
			"rules": about(count(), "Without those that canonical makes."), "files": list(ref("RulesFile")), "loaded": moment(),
			"warnings":  about(count(), "Of the checks when they were read; seeother check says more."),
			"refused":   about(text(), "Why files that changed since are not in force."),
			"refusedAt": moment(),
		}, "rules", "files", "warnings"),
		"RulesFile": object(map[string]schema{"file": text(), "rules": count()}, "file", "rules"),
		"Rules": object(map[string]schema{
			"now": about(moment(), "The store's clock."), "since": moment(), "total": count(), "used": count(), "unused": count(),
			"young": about(count(), "Not hit, and counted only since later: they may have been used before."),
			"rules": list(ref("RuleUse")), "cursor": about(text(), "For the next page; empty on the last."),
		}, "now", "total", "used", "unused", "young", "rules", "cursor"),
		"RuleUse": object(map[string]schema{
			"name": text(), "file": text(), "line": integer(1, -1), "matches": text(), "answer": text(), "target": text(), "stage": ref("Stage"),
			"hits": count(), "last": about(moment(), "The day of the last hit."), "first": about(moment(), "The day since which hits are counted."),
		}, "file", "matches", "answer", "stage", "hits"),
	}
}
