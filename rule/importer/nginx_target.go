package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/rule"
)

// target writes the template of the rule.
func (w *nginxWriter) target(v nginxPieces, mode nginxQueryMode) {
	var b strings.Builder
	query := nginxInPath
	for i, p := range v {
		if i == len(v)-1 && i > 0 && (p.source == nginxAndQuery || query == nginxInPath && p.source == nginxQueryMark) {
			if mode == queryOfRewrite {
				w.s = w.s.because("nginx adds the query twice: here it comes once")
			}
			mode = queryOfRewrite
			break
		}
		b.WriteString(w.piece(p, query == nginxInQuery))
		if p.source == nginxQueryMark || p.source == nginxText && strings.IndexByte(p.text, '?') >= 0 {
			query = nginxInQuery
		}
	}
	w.r.Target = b.String()
	switch {
	case mode == queryOfRewrite && query == nginxInQuery:
		w.r.TargetQuery = rule.QueryAppend
	case mode == queryOfRewrite:
	case w.r.QueryExact && len(w.r.Query) == 0:
	default:
		w.r.TargetQuery = rule.QueryDrop
	}
	w.origins(v)
	w.upgrade()
}

const (
	nginxInPath = iota
	nginxInQuery
)

func (w *nginxWriter) piece(p nginxPiece, inQuery bool) string {
	switch p.source {
	case nginxText:
		return encodeBraces.Replace(p.text)
	case nginxHost:
		return "{host}"
	case nginxHTTPHost:
		w.s = w.s.because("$http_host goes into the target without its port")
		return "{host}"
	case nginxScheme:
		return "{scheme}"
	case nginxPath:
		return "{path}"
	case nginxDecodedPath:
		return nginxBraces("decoded_path", inQuery, "nginx")
	case nginxQuery:
		return "{query}"
	case nginxQueryMark:
		return "{?query}"
	case nginxArg:
		return "{arg." + p.text + "}"
	case nginxCapture:
		return w.capture(p, inQuery)
	case nginxAndQuery:
		return "&{query}"
	case nginxIsArgs, nginxMethod, nginxHeader, nginxCookie, nginxUnknown:
	}
	return ""
}

// encodeBraces keeps braces from being placeholders.
var encodeBraces = strings.NewReplacer("{", "%7B", "}", "%7D")

func nginxBraces(name string, with bool, encoder string) string {
	if with {
		return "{" + name + "|" + encoder + "}"
	}
	return "{" + name + "}"
}

func (w *nginxWriter) capture(p nginxPiece, inQuery bool) string {
	name := strconv.Itoa(p.group)
	if p.of != w.primary {
		name = w.names[p.of][p.group]
	}
	if p.of.on == onPath {
		return nginxBraces(name, inQuery || p.escaped, "nginx")
	}
	return nginxBraces(name, inQuery || p.of.on != onRawPath, "keep")
}

// origins lists where the target may lead, if its host comes from the request,
// or if what follows the host does and has no slash before it.
func (w *nginxWriter) origins(v nginxPieces) {
	scheme, rest, ok := strings.Cut(w.r.Target, "://")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return
	}
	schemes := []string{scheme}
	if scheme == "{scheme}" {
		schemes = []string{"http", "https"}
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	for _, hole := range []string{"{path}", "{decoded_path}", "{?query}"} {
		rest, _, _ = strings.Cut(rest, hole)
	}
	switch host, after, found := strings.Cut(rest, "{"); {
	case !found && scheme != "{scheme}":
	case !found:
		w.allow(schemes, []string{rest})
	case strings.Contains(host, ".") && !strings.HasSuffix(host, ".") && after != "": // the hole is the path
		w.allow(schemes, []string{host})
	default:
		w.allow(schemes, append(w.hostsOf(authorityOf(v)), w.x.o.hostNames()...))
	}
}

// authorityOf is the part of a target between "://" and the path.
func authorityOf(v nginxPieces) nginxPieces {
	var out nginxPieces
	inside := false
	for _, p := range v {
		if p.source != nginxText {
			if inside && (p.source == nginxPath || p.source == nginxDecodedPath || p.source == nginxQueryMark) {
				break
			}
			if inside {
				out = append(out, p)
			}
			continue
		}
		text := p.text
		if !inside {
			_, text, inside = strings.Cut(text, "://")
		}
		if i := strings.IndexAny(text, "/?#"); i >= 0 {
			return append(out, nginxPiece{text: text[:i]})
		}
		out = append(out, nginxPiece{text: text})
	}
	return out
}

// hostsOf gives what an authority may become: of {host}, the names of the
// server; of a group, its alternatives; of anything else, what makes a name of
// some server.
func (w *nginxWriter) hostsOf(authority nginxPieces) []string {
	hosts := []string{""}
	for _, p := range authority {
		var values []string
		switch {
		case p.source == nginxText:
			values = []string{p.text}
		case isHostPiece(p):
			values = w.s.server.exactNames()
		case p.source == nginxCapture && p.of.op == opRegexp:
			values = p.of.re.alternatives(p.group)
		}
		if values == nil {
			return w.namesLike(authority)
		}
		var longer []string
		for _, host := range hosts {
			for _, value := range values[:min(len(values), rule.MaxList/len(hosts)+1)] {
				longer = append(longer, host+value)
			}
		}
		hosts = longer
	}
	return hosts
}

// namesLike gives the names of servers that an authority may become.
func (w *nginxWriter) namesLike(authority nginxPieces) []string {
	var b strings.Builder
	for _, p := range authority {
		if p.source == nginxText {
			b.WriteString(regexp.QuoteMeta(p.text))
		} else {
			b.WriteString(".+")
		}
	}
	form, err := regexp.Compile("^" + b.String() + "$")
	if err != nil {
		return nil
	}
	var hosts []string
	for _, name := range w.x.names {
		if form.MatchString(name) {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

func (w *nginxWriter) allow(schemes, hosts []string) {
	for _, scheme := range schemes {
		for _, host := range hosts {
			w.r.Origins = append(w.r.Origins, scheme+"://"+host)
		}
	}
	slices.Sort(w.r.Origins)
	w.r.Origins = slices.Compact(w.r.Origins)
	if len(w.r.Origins) > rule.MaxList {
		w.r.Origins = w.r.Origins[:rule.MaxList]
		w.s = w.s.because(fmt.Sprintf("it leads to no more than %d hosts", rule.MaxList))
	}
}

// hostNames are the hosts of the origins that the caller allows.
func (o *Options) hostNames() []string {
	var hosts []string
	for _, origin := range o.Origins {
		if _, host, ok := strings.Cut(origin, "://"); ok {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// upgrade limits a redirect to https on the same site to requests over http,
// where the file has no server with TLS: then something before nginx ends it.
func (w *nginxWriter) upgrade() {
	rest, ok := strings.CutPrefix(w.r.Target, "https://")
	if !ok || !w.x.plain || w.r.Scheme != "" {
		return
	}
	host := rest
	if i := strings.IndexAny(rest, "/{?#"); i > 0 {
		host = rest[:i]
	}
	if strings.HasPrefix(rest, "{host}") || w.s.server.hasName(host) {
		w.r.Scheme = "http"
	}
}

// splitPaths puts the slash between a host and a capture that begins with one
// into the target: what directly follows a host is taken for a part of it.
func (w *nginxWriter) splitPaths(target nginxPieces) nginxPieces {
	for i, p := range target {
		if i == 0 || p.source != nginxCapture || p.of.on != onPath || p.of.op != opRegexp {
			continue
		}
		if before := target[i-1]; isHostPiece(before) || before.source == nginxCapture && before.of.on == onHost || isBareOrigin(target[:i]) {
			out := slices.Clone(target)
			if p.of.re.isWhole(p.group) {
				out[i] = nginxPiece{source: nginxDecodedPath}
				return out
			}
			if re, ok := p.of.re.slashOut(p.group); ok && target.uses(p.of) == 1 {
				moved := *p.of
				moved.re = re
				w.replaced = map[*nginxTest]*nginxTest{p.of: &moved}
				out[i].of = &moved
				return append(append(out[:i:i], nginxPiece{text: "/"}), out[i:]...)
			}
		}
	}
	return target
}

// uses counts the captures of a test.
func (v nginxPieces) uses(t *nginxTest) int {
	n := 0
	for _, p := range v {
		if p.source == nginxCapture && p.of == t {
			n++
		}
	}
	return n
}

// isBareOrigin reports whether a target is up to here a scheme and a host.
func isBareOrigin(v nginxPieces) bool {
	last := v[len(v)-1]
	if last.source != nginxText {
		return false
	}
	_, host, ok := strings.Cut(last.text, "://")
	return ok && host != "" && !strings.ContainsAny(host, "/?#")
}

// addReaders adds tests that capture what templates have no name for.
func (w *nginxWriter) addReaders(target nginxPieces) nginxPieces {
	var out nginxPieces
	for _, p := range target {
		on, ok := map[nginxSource]nginxOn{nginxHeader: onHeader, nginxCookie: onCookie, nginxMethod: onMethod}[p.source]
		if ok {
			t := &nginxTest{on: on, op: opRegexp, name: p.text, re: &pcre{text: "^(.*)$", names: []string{"", ""}}}
			w.extra = append(w.extra, t)
			p = nginxPiece{source: nginxCapture, of: t, group: 1}
		}
		out = append(out, p)
	}
	return out
}
