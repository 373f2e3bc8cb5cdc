package importer

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

var _ = register(Nginx, importNginx)

// importNginx reads a configuration of nginx: a whole one, a file with servers
// and maps, or what stands in a server.
func importNginx(file string, in io.Reader, o Options) (*Result, error) {
	text, err := readAll(in)
	if err != nil {
		return nil, err
	}
	p := &nginxParser{files: o.Files}
	list, err := p.parse(&nginxFile{text: text})
	if err != nil {
		return nil, err
	}
	res := &Result{Mode: rule.FileOrder, Lines: countLines(text)}
	x := &nginxExec{o: &o, res: res, name: file, maps: map[string]*nginxMap{}, set: map[string]bool{}, noted: map[nginxNoted]bool{}, visited: map[*nginxLocation]bool{}}
	x.out = &nginxOutput{add: func(r *rule.Rule) error { return res.add(&o, r) }, fail: x.stop}
	for _, d := range p.missing {
		x.noteAt(d.place(), Dropped, "a file that is included and not there: what it says of redirects is not taken over")
	}
	x.importAll(list)
	if x.err != nil {
		return nil, x.err
	}
	sortNotes(res.Notes)
	return res, nil
}

func sortNotes(notes []Note) {
	slices.SortStableFunc(notes, func(a, b Note) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// importAll follows every server of a configuration.
func (x *nginxExec) importAll(list []*nginxDirective) {
	var servers []*nginxServer
	var snippet []*nginxDirective
	x.collect(list, &servers, &snippet)
	if len(snippet) > 0 && len(servers) == 0 {
		d := &nginxDirective{name: "server", block: snippet, hasBlock: true, file: snippet[0].file, line: snippet[0].line}
		servers = append(servers, newNginxServer(d))
	}
	x.plain = true
	x.findSets(list)
	for _, s := range servers {
		x.plain = x.plain && !slices.ContainsFunc(s.listens, func(l nginxListen) bool { return l.tls })
	}
	x.otherPorts(servers)
	for _, e := range x.entryPoints(servers) {
		x.server(e)
	}
	for _, s := range servers {
		for _, loc := range s.named {
			x.noteUnreached(loc)
		}
		s.root.each(x.noteUnreached)
	}
}

// noteUnreached notes a location with redirects that nothing but an error or
// the app's own answer leads to.
func (x *nginxExec) noteUnreached(loc *nginxLocation) {
	named := strings.HasPrefix(loc.text, "@")
	if !x.visited[loc] && (named || loc.internal) && bearsOnRedirects(loc.code) {
		x.noteAt(loc.d.place(), Dropped, "redirects that come in place of an error, or that the app asks for")
	}
}

// each calls f with all locations inside.
func (loc *nginxLocation) each(f func(*nginxLocation)) {
	for _, sub := range slices.Concat(loc.exact, loc.prefixes, loc.regexps) {
		f(sub)
		sub.each(f)
	}
}

// collect finds servers and maps, at whatever depth they stand.
func (x *nginxExec) collect(list []*nginxDirective, servers *[]*nginxServer, snippet *[]*nginxDirective) {
	for _, d := range list {
		switch d.name {
		case "http":
			x.collect(d.block, servers, snippet)
		case "server":
			if d.hasBlock {
				*servers = append(*servers, newNginxServer(d))
			}
		case "map":
			m := newNginxMap(d)
			x.maps[strings.ToLower(strings.TrimPrefix(d.arg(1), "$"))] = m
			x.lines += len(d.entries)
		case "location", "rewrite", "return", "if", "set", "try_files", "break", "server_name", "listen":
			*snippet = append(*snippet, d)
		default:
			x.doOther(d)
		}
	}
}

// findSets finds the variables that are set somewhere, or captured by name.
func (x *nginxExec) findSets(list []*nginxDirective) {
	for _, d := range list {
		if d.name == "set" {
			x.set[strings.ToLower(strings.TrimPrefix(d.arg(0), "$"))] = true
		}
		for i := range d.args {
			x.findNames(d.args[i].text)
		}
		for i := range d.entries {
			x.findNames(d.entries[i].key)
		}
		x.findSets(d.block)
	}
}

var nginxGroupName = regexp.MustCompile(`\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')`)

func (x *nginxExec) findNames(text string) {
	if !strings.Contains(text, "(?") {
		return
	}
	for _, m := range nginxGroupName.FindAllStringSubmatch(text, -1) {
		x.set[strings.ToLower(m[1]+m[2])] = true
	}
}

// otherPorts notes the servers that are reached by none of the ports that count.
func (x *nginxExec) otherPorts(servers []*nginxServer) {
	main := mainPorts(servers)
	for _, s := range servers {
		if !slices.ContainsFunc(s.listens, func(l nginxListen) bool { return main[l.scheme()] == l.port }) {
			l := s.listens[0]
			x.noteAt(s.d.place(), Dropped, fmt.Sprintf("the server listens on port %d, and rules know no port: those for port %d are taken", l.port, main[l.scheme()]))
		}
	}
}

// server follows the requests for one entry point.
func (x *nginxExec) server(e *nginxEntryPoint) {
	s := &nginxState{
		server: e.server, entry: e, scheme: e.scheme, hosts: e.hosts, path: "/",
		args: nginxPieces{{source: nginxQuery}},
	}
	if e.re != nil {
		t := &nginxTest{on: onHost, op: opRegexp, re: e.re}
		s = s.guarded(t).with(t).captured(e.re, func(group int) nginxPieces {
			return nginxPieces{{source: nginxCapture, of: t, group: group}}
		})
	}
	if x.stopped() {
		return
	}
	x.serverPhase(s)
}
