package importer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/rule"
)

// target writes the template of the rule.
func (w *nginxWriter) target(v nginxPieces, mode nginxQueryMode) error {
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
	w.upgrade()
	return w.origins(v)
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
