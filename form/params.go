package form

import (
	"net/http"
	"net/url"
	"strings"
)

// The query parameters that are ours. They never reach the app.
const (
	tokenParam = "seeother-form"  // names a rendered form
	pageParam  = "seeother-page"  // names a page that is kept
	againParam = "seeother-again" // names a submission that its sender wants again
	ourParams  = "seeother-"      // what all begin with
)

// params are the values of our parameters. One that comes twice counts as none.
type params struct{ token, page, again string }

// takeParams splits our parameters from the others of a query, which stay as they
// are. It costs nothing where there are none.
func takeParams(query string) (rest string, p params, found bool) {
	if !strings.Contains(query, ourParams) {
		return query, params{}, false
	}
	var kept strings.Builder
	pieces := 0
	seen := make(map[string]int, 3)
	values := make(map[string]string, 3)
	for piece := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(piece, "=")
		switch name {
		case tokenParam, pageParam, againParam:
			seen[name]++
			values[name] = value
			continue
		}
		if pieces > 0 {
			kept.WriteByte('&')
		}
		kept.WriteString(piece)
		pieces++
	}
	for name, n := range seen {
		if n > 1 {
			values[name] = ""
		}
	}
	return kept.String(), params{token: values[tokenParam], page: values[pageParam], again: values[againParam]}, len(seen) > 0
}

// withoutParams takes our parameters off a target: a path with a query, or a whole
// URL.
func withoutParams(target string) string {
	before, query, ok := strings.Cut(target, "?")
	if !ok || !strings.Contains(query, ourParams) {
		return target
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	rest, _, found := takeParams(query)
	if !found {
		return target
	}
	if rest != "" {
		before += "?" + rest
	}
	if hasFragment {
		before += "#" + fragment
	}
	return before
}

// withParam adds a parameter of ours to a target without a fragment.
func withParam(target, name, value string) string {
	join := "?"
	if strings.Contains(target, "?") {
		join = "&"
	}
	return target + join + name + "=" + value
}

// clean is r as the app gets it: without our parameters, in the target and in
// Referer, without our cookies, and without messages that only Flashes may bring. Its
// header is a copy when it differs.
func clean(r *http.Request, rest string, found bool) *http.Request {
	out := *r
	if found {
		u := *r.URL
		u.RawQuery, u.ForceQuery = rest, false
		out.URL = &u
		out.RequestURI = withoutParams(r.RequestURI)
	}
	cookies, hasOurs := otherCookies(r.Header["Cookie"])
	referer := withoutParams(r.Header.Get("Referer"))
	forged := bringsFlashes(r)
	if !hasOurs && !forged && referer == r.Header.Get("Referer") {
		return &out
	}
	out.Header = r.Header.Clone()
	if forged {
		dropFlashHeader(out.Header)
	}
	if hasOurs {
		delete(out.Header, "Cookie")
		if len(cookies) > 0 {
			out.Header["Cookie"] = cookies
		}
	}
	if referer != "" {
		out.Header.Set("Referer", referer)
	}
	return &out
}

// carriesOurs reports whether clean may find something of ours.
func carriesOurs(r *http.Request) bool {
	if strings.Contains(r.URL.RawQuery, ourParams) || strings.Contains(r.Header.Get("Referer"), ourParams) {
		return true
	}
	_, hasOurs := otherCookies(r.Header["Cookie"])
	return hasOurs || bringsFlashes(r)
}

// bringsFlashes reports whether a client sent messages to the app itself. Within
// Flashes they are ours.
func bringsFlashes(r *http.Request) bool {
	return hasFlashHeader(r.Header) && flashVisitOf(r.Context()) == nil
}

// otherCookies is what stands in Cookie headers beside our nonce.
func otherCookies(lines []string) (out []string, hasOurs bool) {
	for _, line := range lines {
		hasOurs = hasOurs || strings.Contains(line, nonceCookie+"=")
	}
	if !hasOurs {
		return lines, false
	}
	for _, line := range lines {
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name != nonceCookie && name != hostPrefix+nonceCookie {
				kept = append(kept, strings.TrimSpace(pair))
			}
		}
		if len(kept) > 0 {
			out = append(out, strings.Join(kept, "; "))
		}
	}
	return out, true
}

// targetOf is a request's path and query as the browser has them, but for what is
// ours. What stands in a URL raw stays so. Empty: written as it came it could lead
// to another site ("//host/"), and nothing of ours may.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		u := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		target = u.RequestURI()
	}
	target = withoutParams(target)
	path, query, asks := strings.Cut(target, "?")
	safe, same := searchTarget(path, query)
	written, _, _ := strings.Cut(safe, "?")
	switch {
	case same:
		return target
	case safe == "" || plainPath(written) != plainPath(path):
		return ""
	case asks:
		return written + "?" + query
	}
	return written
}
