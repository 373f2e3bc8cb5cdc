package rule

import (
	"slices"

	"github.com/seeother/seeother"
)

// Candidate is a rule whose host and path are those of a request.
type Candidate struct {
	Index  int    // for Table.Rule
	Wins   bool   // it is the one that Match gives
	Acts   bool   // all of it holds, and its stage acts for the client
	Reason string // why it is not the one; "" for the one that wins
}

// reasons are told to people.
var reasons = [...]string{
	nothing: "", wrongScheme: "another scheme", wrongMethod: "not for this method",
	wrongQuery: "a parameter of the query is missing or different", extraQuery: "the query has other parameters",
	wrongCondition: "a condition does not hold", tooEarly: "not yet in force", tooLate: "no longer in force",
	noMatch: "the expression does not match",
}

// Explain gives every rule whose host and path are those of req, the best
// first, and why the others are not the one. It is for people, not for the way
// of a request.
func (t *Table) Explain(req *Request) []Candidate {
	var m Match
	m.begin(t, req)
	if req.Path == "" || req.Path[0] != '/' || isPreflight(req) {
		return nil
	}
	m.asks = true
	m.search()
	list := m.all
	t.sortByRank(list)
	list = slices.Compact(list)
	var out []Candidate
	won := false
	for _, n := range list {
		c := m.judge(n)
		switch {
		case c.Acts && !won:
			c.Wins, won = true, true
		case c.Acts:
			c.Reason = "another goes before it"
		}
		out = append(out, c)
	}
	return out
}

func (m *Match) judge(n uint32) Candidate {
	e := m.t.entries.at(n)
	a := m.t.attrs[e.attr]
	c := Candidate{Index: int(e.rule)}
	if a.conditional {
		c.Reason = reasons[m.fails(e, a)]
	}
	if stage := a.proto.Stage; c.Reason == "" && stage != seeother.Enforce && !stage.Acts(m.req.Client) {
		c.Reason = "its stage is " + stage.String()
	}
	c.Acts = c.Reason == ""
	return c
}
