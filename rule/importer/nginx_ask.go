package importer

import (
	"slices"
	"strings"
)

// nginxQuestion is a comparison of a value.
type nginxQuestion struct {
	op   nginxOp
	text string
	fold bool
	re   *pcre
}

// ask calls yes with the requests for which it holds, and reports whether these
// are all. What cannot be said counts as no, and is noted.
func (x *nginxExec) ask(s *nginxState, v nginxPieces, q nginxQuestion, yes then) bool {
	if text, ok := v.literal(); ok {
		return askText(s, text, q, yes)
	}
	switch {
	case isURI(s, v):
		return x.askURI(s, q, yes)
	case len(v) == 2 && v[0].source == nginxPath && v[1].source == nginxQueryMark:
		return x.askRequestURI(s, q, yes)
	case len(v) > 1 && hasSource(v, nginxScheme):
		return x.askEachScheme(s, v, q, yes)
	case len(v) > 1:
		return x.askJoined(s, v, q, yes)
	}
	return x.askPiece(s, v[0], q, yes)
}

// askText decides at once.
func askText(s *nginxState, text string, q nginxQuestion, yes then) bool {
	switch q.op {
	case opIsTrue:
		if text == "" || text == "0" {
			return false
		}
	case opEmpty:
		if text != "" {
			return false
		}
	case opEquals:
		if text != q.text && (!q.fold || !equalFold(text, q.text)) {
			return false
		}
	case opPrefix:
		if !strings.HasPrefix(text, q.text) {
			return false
		}
	case opRegexp:
		loc := q.re.match(text)
		if loc == nil {
			return false
		}
		s = s.captured(q.re, func(group int) nginxPieces {
			if loc[2*group] < 0 {
				return nil
			}
			return nginxLiteral(text[loc[2*group]:loc[2*group+1]])
		})
	}
	yes(s)
	return true
}

// isURI reports whether v is $uri.
func isURI(s *nginxState, v nginxPieces) bool {
	if len(v) == 1 && v[0].source == nginxDecodedPath {
		return s.uri.kind == uriRequest
	}
	return (s.uri.kind == uriMoved || s.uri.kind == uriTemplate) && len(v) == len(s.uri.pieces) && len(v) > 0 && &v[0] == &s.uri.pieces[0]
}

func hasSource(v nginxPieces, source nginxSource) bool {
	for _, p := range v {
		if p.source == source {
			return true
		}
	}
	return false
}

func (x *nginxExec) askURI(s *nginxState, q nginxQuestion, yes then) bool {
	switch q.op {
	case opIsTrue:
		yes(s)
		return true
	case opEmpty:
		return false
	case opEquals:
		return x.follow(s.equals(q.text, q.fold))(yes)
	case opPrefix:
		return x.follow(s.prefix(q.text))(yes)
	case opRegexp:
	}
	return x.follow(s.matches(q.re))(yes)
}

// follow goes on with what a verdict says, and reports whether it is of all.
func (x *nginxExec) follow(v verdict, s *nginxState) func(then) bool {
	return func(yes then) bool {
		switch v {
		case always:
			yes(s)
			return true
		case maybe:
			yes(s)
		case unsure:
			x.note(Dropped, "it cannot be said which requests these are, after the rewrite before")
		case never:
		}
		return false
	}
}

// askEachScheme asks once for http and once for https.
func (x *nginxExec) askEachScheme(s *nginxState, v nginxPieces, q nginxQuestion, yes then) bool {
	all := true
	for _, scheme := range []string{"http", "https"} {
		if s.scheme != "" && s.scheme != scheme {
			continue
		}
		c := s.clone()
		c.scheme = scheme
		var known nginxPieces
		for _, p := range v {
			if p.source == nginxScheme {
				known = known.join(schemePiece(p, scheme)...)
			} else {
				known = known.join(p)
			}
		}
		all = x.ask(c, known, q, yes) && all
	}
	return all
}

// schemePiece is what $scheme, $https or $server_port is for a scheme.
func schemePiece(p nginxPiece, scheme string) nginxPieces {
	switch {
	case p.text == "":
		return nginxLiteral(scheme)
	case scheme == "https":
		return nginxLiteral(p.text)
	case p.text == "443":
		return nginxLiteral("80")
	}
	return nil
}

// askJoined takes off what is known at the start, and a host before a path.
func (x *nginxExec) askJoined(s *nginxState, v nginxPieces, q nginxQuestion, yes then) bool {
	if head := v.head(); head != "" {
		if rest, ok := q.without(head); ok {
			return x.ask(s, v[1:], rest, yes)
		}
		if q.op == opEquals || q.op == opRegexp && q.re.headConflicts(head) {
			return false
		}
	}
	if q.op == opIsTrue && slices.ContainsFunc(v, func(p nginxPiece) bool { return p.source == nginxText && p.text != "0" }) {
		yes(s)
		return true
	}
	if isHostPiece(v[0]) && (q.op == opEquals || q.op == opRegexp) {
		if host, path, ok := q.splitHost(); ok {
			all := false
			some := x.askPiece(s, v[0], host, func(s *nginxState) {
				all = x.ask(s, v[1:], path, yes)
			})
			return some && all
		}
		if q.op == opEquals { // no slash: it is no host and path
			return false
		}
	}
	if q.op == opIsTrue && isHostPiece(v[0]) {
		yes(s)
		return true
	}
	x.note(Dropped, "a comparison of a value that is put together")
	return false
}

// without is the question about what follows head.
func (q nginxQuestion) without(head string) (nginxQuestion, bool) {
	switch q.op {
	case opEquals:
		if len(q.text) >= len(head) && (q.text[:len(head)] == head || q.fold && equalFold(q.text[:len(head)], head)) {
			q.text = q.text[len(head):]
			return q, true
		}
	case opRegexp:
		if text, anchored := q.re.head(); anchored && strings.HasPrefix(lowerIf(q.re.fold, text), lowerIf(q.re.fold, head)) {
			if rest, ok := q.re.after(len(head)); ok {
				q.re = &pcre{text: "^" + rest, fold: q.re.fold, names: q.re.names}
				return q, true
			}
		}
	case opPrefix, opEmpty, opIsTrue:
	}
	return q, false
}

func (p *pcre) headConflicts(text string) bool {
	head, anchored := p.head()
	return anchored && conflict(lowerIf(p.fold, head), lowerIf(p.fold, text))
}

// splitHost splits a question about a host and a path at the slash.
func (q nginxQuestion) splitHost() (host, path nginxQuestion, ok bool) {
	if q.op == opEquals {
		i := strings.IndexByte(q.text, '/')
		if i < 0 {
			return q, q, false
		}
		host, path = q, q
		host.text, path.text = q.text[:i], q.text[i:]
		return host, path, true
	}
	head, anchored := q.re.head()
	i := strings.IndexByte(head, '/')
	if !anchored || i < 0 {
		return q, q, false
	}
	rest, ok := q.re.after(i)
	host, path = nginxQuestion{op: opEquals, text: head[:i], fold: q.re.fold}, q
	path.re = &pcre{text: "^" + rest, fold: q.re.fold, names: q.re.names}
	return host, path, ok
}

func isHostPiece(p nginxPiece) bool { return p.source == nginxHost || p.source == nginxHTTPHost }

// askPiece asks about one thing of the request.
func (x *nginxExec) askPiece(s *nginxState, p nginxPiece, q nginxQuestion, yes then) bool {
	t := &nginxTest{op: q.op, text: q.text, fold: q.fold, re: q.re, name: p.text}
	switch p.source {
	case nginxHost, nginxHTTPHost:
		return x.askHost(s, p, q, yes)
	case nginxScheme:
		return x.askEachScheme(s, nginxPieces{p}, q, yes)
	case nginxMethod:
		t.on = onMethod
	case nginxQuery:
		t.on = onQuery
	case nginxIsArgs, nginxQueryMark:
		if q.op != opIsTrue && q.op != opEmpty {
			x.note(Dropped, "a comparison of $is_args")
			return false
		}
		t.on = onQuery
	case nginxArg:
		t.on = onArg
	case nginxHeader:
		t.on = onHeader
	case nginxCookie:
		t.on = onCookie
	default:
		reason := p.text
		if p.source != nginxUnknown {
			reason = "a comparison of a part of the path"
		}
		x.note(Dropped, reason)
		return false
	}
	if q.op == opEquals && q.text == "" {
		t.op = opEmpty
	}
	if contradicts(s, t) {
		return false
	}
	s = s.guarded(t).with(t)
	if q.op == opRegexp {
		s = s.captured(q.re, func(group int) nginxPieces {
			return nginxPieces{{source: nginxCapture, of: t, group: group}}
		})
	}
	yes(s)
	return false
}

// contradicts reports whether a test before says that t does not hold.
func contradicts(s *nginxState, t *nginxTest) bool {
	for _, b := range s.tests {
		if b.on == t.on && strings.EqualFold(b.name, t.name) && b.op == opEquals && !b.not && !b.fold && t.op == opEquals && !t.not &&
			!t.fold && b.text != t.text {
			return true
		}
	}
	return false
}

// askHost asks about the host, where the server's names may say it.
func (x *nginxExec) askHost(s *nginxState, p nginxPiece, q nginxQuestion, yes then) bool {
	if p.source == nginxHTTPHost {
		s = s.because("$http_host is compared without its port")
	}
	if q.op == opIsTrue {
		yes(s)
		return true
	}
	if q.op == opEmpty || q.op == opEquals && q.text == "" {
		return false
	}
	named := s.hosts != nil
	for _, h := range s.hosts {
		named = named && !strings.HasPrefix(h, "*")
	}
	if named {
		return x.askNames(s, q, yes)
	}
	if q.op == opEquals && !s.mayBeHost(q.text) {
		return false
	}
	t := &nginxTest{on: onHost, op: q.op, text: lowerASCII(q.text), re: q.re}
	c := s.guarded(t).with(t)
	if q.op == opEquals {
		if q.text != t.text && !q.fold { // $host is in lower case
			return false
		}
		c = s.clone()
		c.hosts = []string{t.text}
	} else {
		c = c.captured(q.re, func(group int) nginxPieces {
			return nginxPieces{{source: nginxCapture, of: t, group: group}}
		})
	}
	yes(c)
	return false
}

func (s *nginxState) mayBeHost(host string) bool {
	if s.hosts == nil {
		return true
	}
	for _, h := range s.hosts {
		if hostsMeet(h, lowerASCII(host)) {
			return true
		}
	}
	return false
}

// askNames decides for each name of the server.
func (x *nginxExec) askNames(s *nginxState, q nginxQuestion, yes then) bool {
	var same []string
	all := true
	for _, h := range s.hosts {
		c := s.clone()
		c.hosts = []string{h}
		switch {
		case q.op == opRegexp && q.re.groups() > 0:
			all = askText(c, h, q, yes) && all
		case askText(c, h, q, func(*nginxState) {}):
			same = append(same, h)
		default:
			all = false
		}
	}
	if len(same) > 0 {
		c := s.uncapturedIf(q.op == opRegexp)
		c.hosts = same
		yes(c)
	}
	return all
}

func (s *nginxState) uncapturedIf(matched bool) *nginxState {
	c := s.clone()
	if matched {
		c.captures = nil
	}
	return c
}
