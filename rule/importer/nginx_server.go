package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// nginxServer is a server block.
type nginxServer struct {
	d       *nginxDirective
	root    *nginxLocation
	named   map[string]*nginxLocation
	names   []string // as they are written, in lower case
	listens []nginxListen
}

// nginxListen is one listen directive.
type nginxListen struct {
	port      int
	tls       bool
	isDefault bool
}

func (l nginxListen) scheme() string {
	if l.tls {
		return "https"
	}
	return "http"
}

func newNginxServer(d *nginxDirective) *nginxServer {
	s := &nginxServer{d: d, named: map[string]*nginxLocation{}}
	s.root = &nginxLocation{d: d}
	s.root.fill(d.block, s.named)
	allTLS := false
	for _, sub := range d.block {
		switch sub.name {
		case "server_name":
			for _, a := range sub.args {
				s.names = append(s.names, serverName(a.text))
			}
		case "listen":
			if l, ok := parseListen(sub); ok {
				s.listens = append(s.listens, l)
			}
		case "ssl":
			allTLS = sub.arg(0) == "on"
		}
	}
	if len(s.listens) == 0 {
		s.listens = []nginxListen{{port: 80}}
	}
	for i := range s.listens {
		s.listens[i].tls = s.listens[i].tls || allTLS
	}
	return s
}

// serverName is a name in lower case; an expression keeps its case.
func serverName(text string) string {
	if strings.HasPrefix(text, "~") {
		return text
	}
	return lowerASCII(text)
}

func parseListen(d *nginxDirective) (nginxListen, bool) {
	l := nginxListen{port: 80}
	address := d.arg(0)
	if strings.HasPrefix(address, "unix:") {
		return l, false
	}
	if port, err := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:]); err == nil && !strings.HasSuffix(address, "]") {
		l.port = port
	}
	for _, a := range d.args[min(1, len(d.args)):] {
		switch a.text {
		case "ssl", "quic":
			l.tls = true
		case "default_server", "default":
			l.isDefault = true
		}
	}
	return l, true
}

// firstName is $server_name.
func (s *nginxServer) firstName() string {
	if len(s.names) == 0 {
		return ""
	}
	return strings.TrimPrefix(s.names[0], ".")
}

func (s *nginxServer) exactNames() []string {
	var names []string
	for _, name := range s.names {
		name = strings.TrimPrefix(name, ".")
		if isHostName(name) {
			names = append(names, name)
		}
	}
	return names
}

func (s *nginxServer) hasName(host string) bool { return slices.Contains(s.exactNames(), host) }

// isHostName reports whether a name is one that a rule may have.
func isHostName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" && strings.Trim(name, "-_.") != ""
}

// nginxHost is one name that leads to a server.
type nginxEntryPoint struct {
	server *nginxServer
	order  int      // exact, "*." by length, ".*" by length, expressions, any
	hosts  []string // names and "*."
	re     *pcre    // instead
	name   string   // as it is written, where it is an expression for re
	scheme string   // "" for both
}

const (
	orderExact = iota
	orderHead
	orderTail
	orderPattern
	orderAny
)

// entryPoints gives the names of all servers in the order in which nginx
// looks, with as few as possible.
func (x *nginxExec) entryPoints(servers []*nginxServer) []*nginxEntryPoint {
	main := mainPorts(servers)
	var list []*nginxEntryPoint
	for _, scheme := range []string{"http", "https"} {
		list = append(list, x.entryPointsOf(scheme, main[scheme], servers)...)
	}
	slices.SortStableFunc(list, func(a, b *nginxEntryPoint) int {
		if c := cmp.Compare(a.order, b.order); c != 0 {
			return c
		}
		if a.order == orderHead {
			return cmp.Compare(len(b.hosts[0]), len(a.hosts[0]))
		}
		if a.order == orderTail {
			return cmp.Compare(len(b.re.text), len(a.re.text))
		}
		return 0
	})
	return mergeEntryPoints(list)
}

// mainPorts is the port of each scheme that counts: the usual one, else the
// first.
func mainPorts(servers []*nginxServer) map[string]int {
	main := map[string]int{}
	for _, s := range servers {
		for _, l := range s.listens {
			usual := l.tls && l.port == 443 || !l.tls && l.port == 80
			if _, ok := main[l.scheme()]; !ok || usual {
				main[l.scheme()] = l.port
			}
		}
	}
	return main
}

func (x *nginxExec) entryPointsOf(scheme string, port int, servers []*nginxServer) []*nginxEntryPoint {
	if x.plain && scheme == "https" {
		return nil
	}
	var list []*nginxEntryPoint
	var fallback *nginxServer
	marked := false
	for _, s := range servers {
		i := slices.IndexFunc(s.listens, func(l nginxListen) bool { return l.scheme() == scheme && l.port == port })
		if i < 0 {
			continue
		}
		if fallback == nil || s.listens[i].isDefault && !marked {
			fallback, marked = s, s.listens[i].isDefault
		}
		for _, name := range s.names {
			list = append(list, x.entryPointsFor(s, name)...)
		}
	}
	if fallback != nil {
		list = append(list, &nginxEntryPoint{server: fallback, order: orderAny})
	}
	for _, e := range list {
		if e.scheme = scheme; x.plain {
			e.scheme = ""
		}
	}
	return list
}

func (x *nginxExec) entryPointsFor(s *nginxServer, name string) []*nginxEntryPoint {
	one := func(order int, hosts []string, re *pcre) []*nginxEntryPoint {
		return []*nginxEntryPoint{{server: s, order: order, hosts: hosts, re: re, name: name}}
	}
	switch {
	case strings.HasPrefix(name, "~"):
		re, err := translateGuarded(strings.TrimPrefix(name, "~"), true)
		if err != nil {
			x.noteAt(s.d.nameDirective(), Dropped, fmt.Sprintf("server_name %q: %v", name, err))
			return nil
		}
		return one(orderPattern, nil, re)
	case strings.HasPrefix(name, ".") && isHostName(name[1:]):
		return append(one(orderExact, []string{name[1:]}, nil), one(orderHead, []string{"*" + name}, nil)...)
	case strings.HasPrefix(name, "*.") && isHostName(name[2:]):
		return one(orderHead, []string{name}, nil)
	case strings.HasSuffix(name, ".*") && isHostName(strings.TrimSuffix(name, ".*")):
		return one(orderTail, nil, wildcardPattern(name))
	case isHostName(name):
		return one(orderExact, []string{name}, nil)
	}
	if strings.Trim(name, "_-!@#$%^&*()") != "" {
		x.noteAt(s.d.nameDirective(), Dropped, fmt.Sprintf("server_name %q: want letters, digits, dots and dashes; an international name in its xn-- form", name))
	}
	return nil
}

// nameDirective is where the names of a server stand.
func (d *nginxDirective) nameDirective() nginxPlace {
	for _, sub := range d.block {
		if sub.name == "server_name" {
			return sub.place()
		}
	}
	return d.place()
}

// mergeEntryPoints joins entry points of the same server where none of another
// one stands between that a request may have too.
func mergeEntryPoints(list []*nginxEntryPoint) []*nginxEntryPoint {
	for again := true; again; {
		again = false
		for i := 0; i < len(list); i++ {
			for j := i + 1; j < len(list); j++ {
				if merged := list[i].merge(list[j], list[i+1:j]); merged != nil {
					list[merged.at(i, j)] = merged.e
					list = slices.Delete(list, merged.gone(i, j), merged.gone(i, j)+1)
					again = true
					j--
				}
			}
		}
	}
	return list
}

// mergedEntry is the entry point that two become, in the place of one of them.
type mergedEntry struct {
	e    *nginxEntryPoint
	last bool // in the place of the second
}

func (m *mergedEntry) at(i, j int) int {
	if m.last {
		return j
	}
	return i
}

func (m *mergedEntry) gone(i, j int) int {
	if m.last {
		return i
	}
	return j
}

func (e *nginxEntryPoint) merge(f *nginxEntryPoint, between []*nginxEntryPoint) *mergedEntry {
	if e.server != f.server || e.re != nil || f.re != nil {
		return nil
	}
	free := func(x *nginxEntryPoint) bool {
		return !slices.ContainsFunc(between, func(b *nginxEntryPoint) bool { return b.server != e.server && b.meets(x) })
	}
	m := *e
	switch {
	case e.scheme == f.scheme && f.hosts == nil && e.hosts != nil: // the default server has it all
		if !free(e) {
			return nil
		}
		return &mergedEntry{f, true}
	case e.scheme == f.scheme && e.hosts != nil && f.hosts != nil:
		m.hosts = slices.Concat(e.hosts, f.hosts)
		slices.Sort(m.hosts)
		m.hosts = slices.Compact(m.hosts)
	case slices.Equal(e.hosts, f.hosts):
		m.scheme = ""
	default:
		return nil
	}
	if !free(f) {
		if !free(e) {
			return nil
		}
		m.order = f.order
		return &mergedEntry{&m, true}
	}
	return &mergedEntry{&m, false}
}

// meets reports whether a request may have both.
func (e *nginxEntryPoint) meets(f *nginxEntryPoint) bool {
	if e.scheme != "" && f.scheme != "" && e.scheme != f.scheme {
		return false
	}
	if e.re != nil || f.re != nil {
		return e.patternMeets(f)
	}
	return listsMeet(e.hosts, f.hosts, hostsMeet)
}

func (e *nginxEntryPoint) patternMeets(f *nginxEntryPoint) bool {
	if e.re == nil {
		e, f = f, e
	}
	if f.re != nil || f.hosts == nil {
		return true
	}
	return slices.ContainsFunc(f.hosts, func(h string) bool { return strings.HasPrefix(h, "*") || e.re.match(h) != nil })
}
