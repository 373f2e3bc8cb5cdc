package importer

import (
	"fmt"
	"strings"
)

// then is what is done with the requests of a state, next.
type then func(*nginxState)

// expand evaluates a value: maps are looked up, and what they depend on makes
// states of their own. use is called for each of them, in an order in which
// the first that a request belongs to counts.
func (x *nginxExec) expand(s *nginxState, text string, use func(*nginxState, nginxPieces)) {
	if strings.IndexByte(text, '$') < 0 {
		use(s, nginxLiteral(text))
		return
	}
	x.expandParts(s, parseNginxValue(text), nil, use)
}

func (x *nginxExec) expandParts(s *nginxState, parts []nginxPart, done nginxPieces, use func(*nginxState, nginxPieces)) {
	if len(parts) == 0 {
		use(s, joinArgs(done))
		return
	}
	next := func(s *nginxState, v nginxPieces) { x.expandParts(s, parts[1:], done.join(v...), use) }
	switch p := parts[0]; {
	case p.capture > 0:
		next(s, s.capture(p.capture))
	case p.name != "":
		x.variable(s, p.name, next)
	default:
		next(s, nginxLiteral(p.text))
	}
}

// joinArgs makes one piece of $is_args$args.
func joinArgs(v nginxPieces) nginxPieces {
	for i := 0; i+1 < len(v); i++ {
		if v[i].source == nginxIsArgs && v[i+1].source == nginxQuery {
			joined := append(v[:i:i], nginxPiece{source: nginxQueryMark})
			return joinArgs(append(joined, v[i+2:]...))
		}
	}
	return v
}

// variable gives the value of a variable.
func (x *nginxExec) variable(s *nginxState, name string, use func(*nginxState, nginxPieces)) {
	lower := strings.ToLower(name)
	if v, ok := s.vars.find(lower); ok {
		use(s, v)
		return
	}
	if m := x.maps[lower]; m != nil {
		x.lookUp(s, m, func(s *nginxState, v nginxPieces) {
			if m.keep {
				s = s.set(lower, v)
			}
			use(s, v)
		})
		return
	}
	if x.set[lower] { // but not on this way
		use(s, nil)
		return
	}
	use(s, s.builtin(name, lower))
}

// builtin is the value of a variable of nginx.
func (s *nginxState) builtin(name, lower string) nginxPieces {
	one := func(source nginxSource, text string) nginxPieces { return nginxPieces{{source: source, text: text}} }
	switch lower {
	case "host":
		if len(s.hosts) == 1 && !strings.HasPrefix(s.hosts[0], "*") {
			return nginxLiteral(s.hosts[0])
		}
		return one(nginxHost, "")
	case "http_host":
		return one(nginxHTTPHost, "")
	case "server_name":
		return nginxLiteral(s.server.firstName())
	case "scheme":
		if s.scheme != "" {
			return nginxLiteral(s.scheme)
		}
		return one(nginxScheme, "")
	case "https":
		return s.https()
	case "server_port":
		return s.port()
	case "request_uri":
		return nginxPieces{{source: nginxPath}, {source: nginxQueryMark}}
	case "uri", "document_uri":
		return s.currentURI()
	case "args", "query_string":
		return s.args
	case "is_args":
		return s.isArgs()
	case "request_method":
		return one(nginxMethod, "")
	case "content_type", "content_length":
		return one(nginxHeader, strings.ReplaceAll(lower, "_", "-"))
	}
	for prefix, source := range map[string]nginxSource{"arg_": nginxArg, "http_": nginxHeader, "cookie_": nginxCookie} {
		if rest := name[min(len(prefix), len(name)):]; strings.HasPrefix(lower, prefix) && rest != "" {
			if source == nginxHeader {
				rest = strings.ReplaceAll(rest, "_", "-")
			}
			return one(source, rest)
		}
	}
	return one(nginxUnknown, fmt.Sprintf("$%s is not known when rules are made", name))
}

// https is "on" or nothing.
func (s *nginxState) https() nginxPieces {
	switch s.scheme {
	case "https":
		return nginxLiteral("on")
	case "http":
		return nil
	}
	return nginxPieces{{source: nginxScheme, text: "on"}}
}

// port is the usual one of the scheme: rules know no other.
func (s *nginxState) port() nginxPieces {
	switch s.scheme {
	case "https":
		return nginxLiteral("443")
	case "http":
		return nginxLiteral("80")
	}
	return nginxPieces{{source: nginxScheme, text: "443"}}
}

func (s *nginxState) currentURI() nginxPieces {
	switch s.uri.kind {
	case uriConstant:
		return nginxLiteral(s.uri.text)
	case uriMoved, uriTemplate:
		return s.uri.pieces
	case uriRequest:
	}
	return nginxPieces{{source: nginxDecodedPath}}
}

func (s *nginxState) isArgs() nginxPieces {
	if text, ok := s.args.literal(); ok {
		if text == "" {
			return nil
		}
		return nginxLiteral("?")
	}
	if len(s.args) == 1 && s.args[0].source == nginxQuery {
		return nginxPieces{{source: nginxIsArgs}}
	}
	if s.args.head() != "" {
		return nginxLiteral("?")
	}
	return nginxPieces{{source: nginxUnknown, text: "$is_args after a rewrite"}}
}
