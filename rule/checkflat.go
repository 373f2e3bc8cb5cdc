package rule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// flattened is the target that leads straight to the end of the walk that was
// made last, or to where the app may have something, where every client would
// get there with the same method, query and fragment as before.
func (w *worker) flattened(n uint32, out *journey) (string, bool) {
	t := w.t
	e := t.entries.at(n)
	a := t.attrs[e.attr]
	if a.own || a.c.kind > kindExact || len(out.forks) > 0 || a.host == 0 && len(t.hosts.names) > 0 {
		return "", false
	}
	hops := w.hops[:min(len(w.hops), out.sure)]
	if len(hops) == len(w.hops) && out.end != atNothing && out.end != elsewhere || len(hops) < 2 || !w.sameMethods(a, hops) {
		return "", false
	}
	drops := a.proto.TargetQuery == QueryDrop
	if w.hops[0].req.Query != "" || strings.ContainsAny(t.targetOf(e), "?#") {
		return "", false
	}
	for i, h := range hops[1:] {
		b := t.attrs[t.entries.at(h.n).attr]
		if b.conditional || !b.c.followsPath() || b.proto.Stage != seeother.Enforce {
			return "", false
		}
		if !drops && (b.proto.TargetQuery != "" && b.proto.TargetQuery != QueryKeep || len(b.proto.Only) > 0) {
			return "", false
		}
		if last := i == len(hops)-2; !last && strings.ContainsAny(h.location, "?#") {
			return "", false
		}
	}
	return escapeTarget(hops[len(hops)-1].location), true
}

// followsPath reports whether the target depends on nothing but the path.
func (c *compiled) followsPath() bool {
	if c.target == nil { // a simple rule's
		return true
	}
	return !slices.ContainsFunc(c.target.pieces, func(p piece) bool {
		switch p.source {
		case fromText, fromPath, fromRequestPath, fromDecodedPath:
			return false
		default:
			return true
		}
	})
}

// sameMethods reports whether a client would arrive with the same method, and
// caches would keep no more, if the first hop led to the end of hops.
func (w *worker) sameMethods(a *attrs, hops []hop) bool {
	for _, method := range [...]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, "QUERY"} {
		first := a.proto.StatusFor(method)
		direct, _ := seeother.Follow(first, method)
		at := direct.Method
		for _, h := range hops[1:] {
			status := w.t.attrs[w.t.entries.at(h.n).attr].proto.StatusFor(at)
			next, ok := seeother.Follow(status, at)
			if !ok || isPermanent(first) && !isPermanent(status) {
				return false
			}
			at = next.Method
		}
		if at != direct.Method {
			return false
		}
	}
	return true
}

func isPermanent(status int) bool {
	return status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect || status == http.StatusGone
}

// escapeTarget writes a Location as a target without placeholders.
func escapeTarget(location string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(location)
}

// composed is the target of a prefix rule put together with that of the prefix
// rule that it leads into, "" where they are not of that form: "/a/*" to
// "/b/{*}" and "/b/*" to "/c/{*}" give "/c/{*}".
func (w *worker) composed(n uint32) string {
	if len(w.hops) != 2 {
		return ""
	}
	a, b := w.t.attrs[w.t.entries.at(n).attr], w.t.attrs[w.t.entries.at(w.hops[1].n).attr]
	if !a.own || !b.own || b.c.kind != kindPrefix || b.c.space != 0 || b.conditional || b.proto.Missing {
		return ""
	}
	rest, ok := strings.CutPrefix(a.proto.Target, b.c.key+"/")
	if !ok || strings.ContainsAny(rest, "?#") || strings.Count(b.proto.Target, "{*}") != 1 || strings.Count(b.proto.Target, "{") != 1 {
		return ""
	}
	return strings.Replace(b.proto.Target, "{*}", rest, 1)
}
