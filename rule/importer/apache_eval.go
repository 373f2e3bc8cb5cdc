package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seeother/seeother/rule"
)

// apScope is where a directive stands.
type apScope struct {
	server  *apServer
	folder  *apFolder
	inside  *apCase // in <Location>
	outside string  // why redirects that stand here are dropped; "" they are not
}

// bearing are the directives that bear on redirects: outside of what is
// understood each of them is noted.
var bearing = map[string]bool{
	"redirect": true, "redirectmatch": true, "redirecttemp": true, "redirectpermanent": true,
	"rewriterule": true, "rewritecond": true, "rewritebase": true, "rewriteengine": true, "rewriteoptions": true,
	"rewritemap": true, "include": true, "includeoptional": true,
}

// eval reads directives in their order.
func (imp *apImport) eval(list []*apDirective, s apScope) {
	for _, d := range list {
		d.args = imp.expandDefines(d.args)
		if d.section {
			imp.section(d, s)
			continue
		}
		if s.outside != "" {
			if bearing[d.name] && d.name != "rewriteengine" {
				imp.notes = append(imp.notes, d.note(Dropped, s.outside))
			}
			continue
		}
		kind := Dropped
		err := imp.directive(d, s)
		if _, ok := errors.AsType[*apChangedError](err); ok {
			kind = Changed
		}
		if err != nil {
			imp.notes = append(imp.notes, d.note(kind, err.Error()))
		}
	}
}

// apChangedError is a reason to note a change, not a loss.
type apChangedError struct{ text string }

func (e *apChangedError) Error() string { return e.text }

var defined = regexp.MustCompile(`\$\{[^{}:]+\}`)

// expandDefines fills in ${NAME} that Define has set.
func (imp *apImport) expandDefines(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	return defined.ReplaceAllStringFunc(text, func(ref string) string {
		if value, ok := imp.defines[ref[2:len(ref)-1]]; ok {
			return value
		}
		return ref
	})
}

// section reads a section.
func (imp *apImport) section(d *apDirective, s apScope) {
	arg := strings.Join(apWords(d.args), " ")
	switch d.name {
	case "ifmodule":
		if !strings.HasPrefix(arg, "!") {
			imp.eval(d.children, s)
		}
	case "ifdefine":
		name, not := strings.CutPrefix(arg, "!")
		if _, ok := imp.defines[name]; ok != not {
			imp.eval(d.children, s)
		} else {
			s.outside = "in <IfDefine " + arg + ">, which is not defined here"
			imp.eval(d.children, s)
		}
	case "ifversion", "ifdirective", "ifsection", "requireall", "requireany", "requirenone", "ifmodulenot":
		imp.eval(d.children, s)
	case "virtualhost":
		imp.virtualHost(d, arg)
	case "directory":
		imp.directory(d, arg, s)
	case "location":
		imp.location(d, s)
	case "locationmatch", "directorymatch":
		if d.name == "locationmatch" {
			imp.locationMatch(d, arg, s)
			return
		}
		s.outside = "in <DirectoryMatch>, which is not taken over"
		imp.eval(d.children, s)
	default:
		word, _, _ := strings.Cut(strings.TrimRight(d.text[1:], ">"), " ")
		s.outside = fmt.Sprintf("in <%s>, which is not taken over", cut(word))
		imp.eval(d.children, s)
	}
}

// virtualHost reads a virtual host.
func (imp *apImport) virtualHost(d *apDirective, arg string) {
	v := &apServer{at: d, port: "*", root: imp.main.root, engine: imp.main.engine}
	if address, _, _ := strings.Cut(arg, " "); address != "" {
		v.isDefault = strings.HasPrefix(strings.ToLower(address), "_default_")
		if i := strings.LastIndexByte(address, ':'); i >= 0 && !strings.HasSuffix(address, "]") {
			v.port = address[i+1:]
		}
	}
	switch v.port {
	case "80":
		v.scheme = "http"
	case "443":
		v.scheme = "https"
	}
	imp.vhosts = append(imp.vhosts, v)
	imp.eval(d.children, apScope{server: v})
	if v.tls {
		v.scheme = "https"
	}
}

// directory reads a <Directory>, whose URL follows from the DocumentRoot.
func (imp *apImport) directory(d *apDirective, arg string, s apScope) {
	root := strings.TrimSuffix(s.server.root, "/")
	folder := strings.TrimSuffix(arg, "/")
	rest, ok := strings.CutPrefix(folder, root)
	switch {
	case strings.HasPrefix(arg, "~"), strings.ContainsAny(arg, "*?[") || s.server.root == "" || !ok || rest != "" && rest[0] != '/':
		s.outside = "in a <Directory> whose URL is not known: it is not in the DocumentRoot"
		imp.eval(d.children, s)
		return
	}
	s.folder = s.server.folderAt(rest + "/")
	imp.eval(d.children, s)
}

// folderAt is the per-directory context of a folder.
func (s *apServer) folderAt(url string) *apFolder {
	for _, f := range s.folders {
		if f.url == url {
			return f
		}
	}
	f := &apFolder{url: url, engine: s.engine}
	s.folders = append(s.folders, f)
	return f
}

// location reads a <Location>. Redirects in it are for paths in it.
func (imp *apImport) location(d *apDirective, s apScope) {
	words := apWords(d.args)
	if len(words) == 2 && words[0] == "~" {
		imp.locationMatch(d, words[1], s)
		return
	}
	if len(words) != 1 || strings.ContainsAny(words[0], "*?[") || !strings.HasPrefix(words[0], "/") {
		s.outside = "in a <Location> with wildcards or a whole URL, which is not taken over"
		imp.eval(d.children, s)
		return
	}
	path := mergeSlashes(words[0])
	inside := &apCase{when: []rule.Condition{{On: "path", Regexp: belowExpr(path)}}}
	if path == "/" {
		inside = &apCase{}
	}
	s.inside = inside
	imp.eval(d.children, s)
}

func (imp *apImport) locationMatch(d *apDirective, arg string, s apScope) {
	e, err := newApExpr(arg, false)
	if err != nil {
		s.outside = "in <LocationMatch>: " + err.Error()
	} else {
		s.inside = &apCase{when: e.pathMatcher().conditions(false)}
	}
	imp.eval(d.children, s)
}

// directive reads a directive. The error is why it is not taken over.
func (imp *apImport) directive(d *apDirective, s apScope) error {
	switch d.name {
	case "redirect", "redirectmatch", "redirecttemp", "redirectpermanent":
		return imp.alias(d, s)
	case "rewriteengine", "rewritebase", "rewriterule", "rewritecond", "rewriteoptions":
		return imp.rewriting(d, s)
	case "rewritemap":
		return imp.rewriteMap(d)
	case "include", "includeoptional":
		return imp.include(d, s)
	case "servername", "serveralias":
		s.server.addNames(apWords(d.args))
	case "documentroot":
		s.server.root = strings.Join(apWords(d.args), " ")
	case "sslengine":
		s.server.tls = strings.EqualFold(d.args, "on")
	case "define":
		name, value, _ := apWord(d.args)
		value, _, _ = apWord(value)
		imp.defines[name] = value
	case "undefine":
		delete(imp.defines, d.args)
	case "proxypass", "proxypassmatch":
		return imp.proxy(d, s)
	case "errordocument":
		return imp.errorDocument(d, s)
	case "usecanonicalname":
		if strings.EqualFold(d.args, "on") {
			return &apChangedError{"relative targets lead to ServerName in Apache: here they stay on the host that was asked for"}
		}
	case "mergeslashes":
		if strings.EqualFold(d.args, "off") {
			return &apChangedError{"two slashes in a row count as one here"}
		}
	case "allowencodedslashes":
		if imp.slashes = !strings.EqualFold(d.args, "off"); imp.slashes {
			return &apChangedError{"an encoded slash counts as a slash here"}
		}
	}
	return nil
}

func (s *apServer) addNames(words []string) {
	for _, w := range words {
		if _, rest, ok := strings.Cut(w, "://"); ok {
			w = rest
		}
		if i := strings.LastIndexByte(w, ':'); i >= 0 && !strings.HasSuffix(w, "]") {
			w = w[:i]
		}
		if w = strings.ToLower(strings.TrimSuffix(w, ".")); w != "" {
			s.names = append(s.names, w)
		}
	}
}

func (imp *apImport) alias(d *apDirective, s apScope) error {
	a, err := parseApAlias(d, s.inside != nil)
	if err != nil {
		return err
	}
	a.inside = s.inside
	switch {
	case a.all:
		if s.inside == nil {
			return errors.New("want a path and a URL")
		}
		// The last section that has one counts.
		s.server.located = append([]*apAlias{a}, s.server.located...)
	case s.inside != nil:
		f := s.server.folderAt("/")
		f.aliases = append(f.aliases, a)
	case s.folder != nil:
		s.folder.aliases = append(s.folder.aliases, a)
	default:
		s.server.aliases = append(s.server.aliases, a)
	}
	return nil
}

func (imp *apImport) rewriting(d *apDirective, s apScope) error {
	if s.inside != nil {
		if d.name == "rewriteengine" {
			return nil
		}
		return errors.New("rewriting in <Location> sees paths on the disk: not taken over")
	}
	engine, rules, conds := &s.server.engine, &s.server.rules, &s.server.conds
	if s.folder != nil {
		engine, rules, conds = &s.folder.engine, &s.folder.rules, &s.folder.conds
	}
	switch d.name {
	case "rewriteengine":
		*engine = strings.EqualFold(strings.Join(apWords(d.args), ""), "on")
	case "rewritebase":
		base := strings.Join(apWords(d.args), " ")
		if s.folder == nil || !strings.HasPrefix(base, "/") {
			return errors.New("it counts only in a folder's context, with a path")
		}
		s.folder.base = strings.TrimSuffix(base, "/") + "/"
	case "rewriteoptions":
		if strings.Contains(strings.ToLower(d.args), "inherit") {
			return errors.New("rules are not inherited here")
		}
	case "rewritecond":
		c, err := parseApCond(d)
		if err != nil {
			return err
		}
		*conds = append(*conds, c)
	case "rewriterule":
		r, err := parseApRule(d)
		if err != nil {
			*conds = nil
			return err
		}
		r.conds, *conds = *conds, nil
		*rules = append(*rules, r)
	}
	return nil
}

// proxy reads a ProxyPass, which takes requests before a Redirect can.
func (imp *apImport) proxy(d *apDirective, s apScope) error {
	words := apWords(d.args)
	if s.inside != nil {
		if len(words) > 0 && words[0] != "!" {
			s.server.proxies = append(s.server.proxies, apProxy{at: d, path: "/"})
			return &apChangedError{"it is in a section: its requests are not kept from redirects"}
		}
		return nil
	}
	if len(words) < 2 || s.folder != nil {
		return nil
	}
	p := apProxy{at: d, path: words[0], not: words[1] == "!"}
	if d.name == "proxypassmatch" {
		var err error
		if p.expr, err = newApExpr(words[0], false); err != nil {
			return fmt.Errorf("redirects below may take its requests: %w", err)
		}
	}
	s.server.proxies = append(s.server.proxies, p)
	return nil
}

// errorDocument reads one for 404 that leads elsewhere.
func (imp *apImport) errorDocument(d *apDirective, s apScope) error {
	words := apWords(d.args)
	if len(words) != 2 || words[0] != "404" || s.inside != nil {
		return nil
	}
	if scheme, ok := isAbsolute(words[1]); !ok || scheme != "http" && scheme != "https" {
		return nil
	}
	item := apItem{
		at: d, path: "/*", methods: []string{"GET", "HEAD", "POST"}, status: 302, target: braces(words[1]), query: rule.QueryDrop, missing: true,
		changed: []string{"the app is asked first: what it answers with 404 is redirected, unless another line lets the request pass"},
	}
	s.server.missing = []apItem{item}
	return nil
}
