package rule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// Hop is one answer on the way of a request, and what a client does then.
type Hop struct {
	Request  Request
	Index    int    // of the rule that answers, for Table.Rule; -1: none does
	Missing  bool   // the rule counts only where the app answers 404
	Reported int    // of a better rule whose stage only reports; -1: there is none
	Status   int    // 0: the request goes to the app
	Location string // as it is sent
	Err      error  // why the target is refused; the client gets 400
	Cache    string // Cache-Control
	Next     seeother.Next
}

// End is how the way of a request ends.
type End string

// The ends.
const (
	EndApp       End = "app"       // no rule answers, or one that lets it pass
	EndGone      End = "gone"      // 410
	EndRefused   End = "refused"   // 400: the target is refused
	EndElsewhere End = "elsewhere" // another site
	EndLoop      End = "loop"      // it is at a request where it was before
	EndTooLong   End = "too-long"  // more hops than a client follows
)

// Trace follows req from rule to rule on this site, as a client does that keeps
// to the Fetch standard. The host of req is this site, those of the rules and
// of Canonical, and origins. There is at least one hop, and at most
// seeother.MaxHops and one. Cookies are sent to every host, which a client does not.
func (t *Table) Trace(req Request, origins ...string) ([]Hop, End) {
	s := newSite(t, origins)
	s.ours[strings.ToLower(req.Host)] = true
	var m Match
	var hops []Hop
	for len(hops) <= seeother.MaxHops {
		hop := Hop{Request: req, Index: -1, Reported: -1}
		same := func(h Hop) bool { return h.Request.Method == req.Method && urlOf(h.Request) == urlOf(req) }
		if slices.ContainsFunc(hops, same) {
			return hops, EndLoop
		}
		end := hop.answer(t, &m)
		hops = append(hops, hop)
		if end != "" {
			return hops, end
		}
		next, err := s.next(req, hop.Status, hop.Location)
		if err != nil {
			return hops, EndElsewhere
		}
		if next.Host != req.Host || next.Scheme != req.Scheme {
			next.Header = withoutCredentials(next.Header)
		}
		req = next
	}
	return hops, EndTooLong
}

// withoutCredentials is h without what does not cross an origin (Fetch standard,
// "HTTP-redirect fetch").
func withoutCredentials(h http.Header) http.Header {
	if h = h.Clone(); h != nil {
		h.Del("Authorization")
		h.Del("Proxy-Authorization")
	}
	return h
}

// answer fills in what the rules say to the hop's request. It is how the way
// ends there, "" where it goes on.
func (h *Hop) answer(t *Table, m *Match) End {
	found := t.Match(&h.Request, m)
	if i, ok := m.Reported(); ok {
		h.Reported = i
	}
	if !found {
		return EndApp
	}
	h.Index, h.Missing = m.Index(), m.Missing()
	if m.Passes() {
		return EndApp
	}
	h.Status = m.Status(seeother.Enforce)
	h.Cache = m.CacheControl(seeother.Enforce)
	location, err := m.AppendLocation(nil)
	if err != nil {
		h.Err, h.Status = err, 400
		return EndRefused
	}
	follow, ok := seeother.Follow(h.Status, h.Request.Method)
	if !ok {
		return EndGone
	}
	h.Location, h.Next = string(location), follow
	return ""
}
