package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// errNoOrigin is for a target whose host the request chooses, where no host is known.
var errNoOrigin = errors.New("the target's host comes from the request, and the file names none that it may be: " +
	"say where it may lead with --origin, or which host the file is for with --host")

// origins lists where the target may lead, if its host comes from the request,
// or if what follows the host does and has no slash before it.
func (w *nginxWriter) origins(v nginxPieces) error {
	scheme, rest, ok := strings.Cut(w.r.Target, "://")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return nil
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
		return w.openOrigins(schemes, authorityOf(v))
	}
	return nil
}

// openOrigins lists where a target may lead whose host the request chooses, and
// says for which requests that is less than nginx allows.
func (w *nginxWriter) openOrigins(schemes []string, authority nginxPieces) error {
	hosts, others := w.hostsOf(authority)
	if hosts = append(hosts, w.x.o.originHosts()...); len(hosts) == 0 {
		return errNoOrigin
	}
	w.allow(schemes, hosts)
	if others != "" {
		w.s = w.s.because(others + leadsOnlyTo(w.r.Origins))
	}
	return nil
}

// leadsOnlyTo is why a request for another host gets 400, and what to do.
func leadsOnlyTo(origins []string) string {
	return " gets 400: a request cannot choose a foreign host, and this leads to " + nameSome(origins) +
		" alone; say with --origin where else it may lead"
}

// nameSome is a list in words, of which the first few are named.
func nameSome(list []string) string {
	const shown = 5
	if len(list) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return strings.Join(list, ", ")
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

// hostsOf gives what an authority may become: of the request's host, for each
// name of the server; of a group that is a choice of words, these; and names of
// the server that it can be. others says which
// requests nginx redirects elsewhere, if any.
func (w *nginxWriter) hostsOf(authority nginxPieces) (hosts []string, others string) {
	byHost, open := false, false
	for _, p := range authority {
		switch {
		case p.source == nginxText || p.words() != nil:
		case isHostPiece(p) || p.source == nginxCapture && p.of.on == onHost && p.of.op == opRegexp:
			byHost = true
		default:
			open = true
		}
	}
	switch {
	case open:
		return w.namesLike(authority), "a request that makes another host of the target"
	case !byHost:
		return w.fill(authority, ""), ""
	}
	for _, name := range w.knownHosts() {
		hosts = append(hosts, w.fill(authority, name)...)
	}
	if others = w.otherHosts(); others != "" || len(hosts) == 0 {
		hosts = append(hosts, w.namesLike(authority)...)
	}
	return hosts, others
}

// words are the texts that a capture may have, if they are a choice of few.
func (p nginxPiece) words() []string {
	if p.source != nginxCapture || p.of.op != opRegexp {
		return nil
	}
	return p.of.re.alternatives(p.group)
}

// fill gives what an authority becomes for a request to host.
func (w *nginxWriter) fill(authority nginxPieces, host string) []string {
	hosts := []string{""}
	for _, p := range authority {
		values := []string{p.text}
		switch words := p.words(); {
		case isHostPiece(p):
			values = []string{host}
		case words != nil:
			values = words
		case p.source == nginxCapture:
			m := p.of.re.match(host)
			if 2*p.group+1 >= len(m) || m[2*p.group] < 0 {
				return nil
			}
			values = []string{host[m[2*p.group]:m[2*p.group+1]]}
		}
		var longer []string
		for _, before := range hosts {
			for _, value := range values[:min(len(values), rule.MaxList/len(hosts)+1)] {
				longer = append(longer, before+value)
			}
		}
		hosts = longer
	}
	return hosts
}

// knownHosts are the hosts that requests of the state are known to have: names
// of the server itself, and the one that the caller says.
func (w *nginxWriter) knownHosts() []string {
	return slices.DeleteFunc(w.ownNames(), func(name string) bool {
		return !w.s.mayBeHost(name) ||
			slices.ContainsFunc(w.s.tests, func(t *nginxTest) bool { return t.on == onHost && !t.admits(name) })
	})
}

func (w *nginxWriter) ownNames() []string {
	names := w.s.server.exactNames()
	if host := w.x.o.Host; host != "" {
		names = append(names, lowerASCII(host))
	}
	return names
}

// admits reports whether a test on the host lets a host through.
func (t *nginxTest) admits(host string) bool {
	held := true
	switch t.op {
	case opEquals:
		held = host == t.text
	case opPrefix:
		held = strings.HasPrefix(host, t.text)
	case opRegexp:
		held = t.re.match(host) != nil
	case opEmpty:
		held = false
	case opIsTrue:
	}
	return held != t.not
}

// otherHosts says which hosts lead here that no name spells out, "" if none
// does. A server that only has names is not said to have others, though nginx
// sends it what has no server of its own where it comes first. Whoever says
// which host the file is for needs no word on what is for all.
func (w *nginxWriter) otherHosts() string {
	hosts := w.s.hosts
	switch {
	case w.s.entry.re != nil:
		hosts = []string{w.s.entry.name}
	case hosts == nil && w.x.o.Host == "" && w.s.server.takesAll():
		return "a request for any other host that nginx sends to this server"
	case hosts == nil:
		hosts = w.s.server.names
	}
	var open []string
	for _, name := range hosts {
		if strings.HasPrefix(name, ".") {
			name = "*" + name
		}
		if strings.ContainsAny(name, "*~") {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return ""
	}
	return "a request for another host of " + nameSome(open)
}

// takesAll reports whether the server is written to be for whatever host has no
// server of its own.
func (s *nginxServer) takesAll() bool {
	return len(s.names) == 0 || slices.Contains(s.names, "_") || slices.ContainsFunc(s.listens, func(l nginxListen) bool { return l.isDefault })
}

// namesLike gives the names of the server that an authority may become.
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
	return slices.DeleteFunc(w.ownNames(), func(name string) bool { return !form.MatchString(name) })
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

// originHosts are the hosts of the origins that the caller allows.
func (o *Options) originHosts() []string {
	var hosts []string
	for _, origin := range o.Origins {
		if _, host, ok := strings.Cut(origin, "://"); ok {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
