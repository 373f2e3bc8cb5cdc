package importer

import (
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// apServer is the main server or a virtual host.
type apServer struct {
	at        *apDirective // nil: the main server
	names     []string     // ServerName and ServerAlias, in lower case
	isDefault bool         // its address is _default_
	port      string       // of its address; "*" any
	scheme    string       // that its port stands for; "" both
	tls       bool
	root      string // DocumentRoot
	engine    bool
	rules     []*apRule
	conds     []apCond
	aliases   []*apAlias
	located   []*apAlias // in <Location>, without a path of their own
	proxies   []apProxy
	folders   []*apFolder
	missing   []apItem // ErrorDocument 404

	limit []string // hosts that its rules are for; nil: any
}

// apFolder is a per-directory context: a <Directory> or a .htaccess.
type apFolder struct {
	url     string // ends in a slash
	engine  bool
	base    string
	rules   []*apRule
	conds   []apCond
	aliases []*apAlias
}

// apProxy is a ProxyPass.
type apProxy struct {
	at   *apDirective
	path string
	expr *apExpr
	not  bool // "!"
}

// hosts are the hosts that are known of a server.
func (imp *apImport) hosts(s *apServer) (out []string) {
	for _, name := range s.names {
		if !strings.ContainsAny(name, "*?") {
			out = append(out, name)
		}
	}
	if imp.opts.Host != "" {
		out = append(out, strings.ToLower(imp.opts.Host))
	}
	for _, origin := range imp.opts.Origins {
		if _, host, ok := strings.Cut(origin, "://"); ok {
			host, _, _ = strings.Cut(host, ":")
			out = append(out, strings.ToLower(host))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// otherHosts says which hosts lead to a server that no name spells out, "" if
// none does or the conditions name them all. A virtual host that only has names
// is not said to have others, though Apache sends it what has no virtual host of
// its own where it comes first.
func (imp *apImport) otherHosts(s *apServer, c *apCase) string {
	if c.hosts != nil {
		return ""
	}
	if (s.isDefault || len(s.names) == 0) && s.limit == nil && imp.opts.Host == "" {
		return "a request for any other host that Apache sends here"
	}
	var open []string
	for _, name := range s.names {
		if strings.ContainsAny(name, "*?") {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return ""
	}
	return "a request for another host of " + nameSome(open)
}

// setHosts says which hosts a rule is for: those of the server, and of them
// those that its conditions allow.
func (s *apServer) setHosts(r *rule.Rule, hosts []string) {
	switch {
	case hosts == nil && s.limit == nil:
	case s.limit == nil:
		r.Hosts = hosts
	case !inexpressible(s.limit):
		r.Hosts = s.limit
		if hosts == nil {
			return
		}
		r.Hosts = nil
		for _, h := range hosts {
			if slices.ContainsFunc(s.limit, func(name string) bool { return isNamed(name, h) }) {
				r.Hosts = append(r.Hosts, h)
			}
		}
		if r.Hosts == nil { // none of this server's: it can never match
			r.Hosts = s.limit
			r.When = append(r.When, rule.Condition{On: "host", Regexp: hostExpr(hosts)})
		}
	default:
		r.Hosts = hosts
		r.When = append(r.When, rule.Condition{On: "host", Regexp: hostExpr(s.limit)})
	}
}

// inexpressible reports whether names have wildcards that a rule's hosts do not,
// or are no names.
func inexpressible(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := seeother.ParseOrigin("http://" + strings.TrimPrefix(name, "*."))
		return err != nil
	})
}

// isNamed reports whether name, which may have wildcards, names host.
func isNamed(name, host string) bool {
	if !strings.ContainsAny(name, "*?") {
		return name == host
	}
	re, err := regexp.Compile(hostExpr([]string{name}))
	return err == nil && re.MatchString(host)
}

// hostExpr is an expression for names with wildcards.
func hostExpr(names []string) string {
	ways := make([]string, len(names))
	for i, name := range names {
		text := regexp.QuoteMeta(name)
		text = strings.ReplaceAll(text, `\*`, ".*")
		ways[i] = strings.ReplaceAll(text, `\?`, ".")
	}
	return "^(?:" + strings.Join(ways, "|") + ")$"
}

// servers are what is to be written, in their order: virtual hosts by address,
// of each the one that is the default last.
func (imp *apImport) servers() (out []*apServer) {
	if len(imp.vhosts) == 0 {
		return []*apServer{imp.main}
	}
	groups := map[string][]*apServer{}
	var ports []string
	for _, s := range imp.vhosts {
		key := s.port + " " + s.scheme
		if groups[key] == nil {
			ports = append(ports, key)
		}
		groups[key] = append(groups[key], s)
	}
	for _, port := range ports {
		group := groups[port]
		first := group[0]
		if first.overlaps(group[1:]) {
			named := *first
			named.limit = first.names
			out = append(out, &named)
		}
		for _, s := range group[1:] {
			if s.limit = s.names; s.limit != nil {
				out = append(out, s)
			}
		}
		out = append(out, first)
	}
	return out
}

// overlaps reports whether one of the later servers has a name that is s's too.
func (s *apServer) overlaps(later []*apServer) bool {
	for _, other := range later {
		for _, name := range other.names {
			for _, own := range s.names {
				if isNamed(name, own) || strings.ContainsAny(own, "*?") {
					return true
				}
			}
		}
	}
	return false
}

// stages are the lists that a request to the server goes through.
func (imp *apImport) stages(s *apServer) (stages [][]apItem) {
	if s.engine {
		w := &apWalker{imp: imp, server: s, rules: s.rules}
		stages = append(stages, w.run())
	}
	aliases := imp.proxyItems(s)
	for _, a := range slices.Concat(s.located, s.aliases, imp.global(s)) {
		aliases = append(aliases, imp.aliasItems(a)...)
	}
	stages = append(stages, aliases)
	folders := slices.Clone(s.folders)
	if s != imp.main {
		folders = append(folders, imp.main.folders...)
	}
	slices.SortStableFunc(folders, func(a, b *apFolder) int { return len(b.url) - len(a.url) })
	var last []apItem
	for i, f := range folders {
		if f.engine {
			w := &apWalker{imp: imp, server: s, dir: f.url, base: f.base, rules: f.rules}
			items := w.run()
			if f.url != "/" {
				items = within(items, f.url)
			}
			if i < len(folders)-1 && f.url != "/" {
				items = append(items, apItem{path: apPath(f.url) + "*", stop: softStop})
			}
			stages = append(stages, items)
		}
		for _, a := range f.aliases {
			last = append(last, within(imp.aliasItems(a), f.url)...)
		}
	}
	return append(stages, last, slices.Concat(s.missing, imp.globalMissing(s)))
}

// global are the Redirects of the main server, which virtual hosts have too.
func (imp *apImport) global(s *apServer) []*apAlias {
	if s == imp.main {
		return nil
	}
	return slices.Concat(imp.main.located, imp.main.aliases)
}

func (imp *apImport) globalMissing(s *apServer) []apItem {
	if s == imp.main || len(s.missing) > 0 {
		return nil
	}
	return imp.main.missing
}

func (imp *apImport) folderAliases(s *apServer) (out []*apAlias) {
	for _, f := range s.folders {
		out = append(out, f.aliases...)
	}
	return out
}

// within limits items to a folder.
func within(items []apItem, url string) []apItem {
	if url == "/" {
		return items
	}
	for i := range items {
		it := &items[i]
		if it.matcher != nil && (it.matcher.isExact || strings.HasPrefix(it.matcher.text, "^"+regexp.QuoteMeta(url))) || strings.HasPrefix(it.path, url) {
			continue
		}
		*it = copyItem(*it)
		it.c.when = append(it.c.when, rule.Condition{On: "path", Regexp: "^" + regexp.QuoteMeta(url)})
	}
	return items
}

func (imp *apImport) aliasItems(a *apAlias) []apItem {
	items, err := a.items()
	if err != nil {
		if !imp.noted[a.at] {
			imp.noted[a.at] = true
			imp.notes = append(imp.notes, a.at.note(Dropped, err.Error()))
		}
		return nil
	}
	return items
}

// belowExpr is an expression for a path and all below it.
func belowExpr(path string) string {
	text := "^" + regexp.QuoteMeta(path)
	if !strings.HasSuffix(path, "/") {
		text += "(?:/|$)"
	}
	return text
}

// proxyItems are what ProxyPass takes before a Redirect can.
func (imp *apImport) proxyItems(s *apServer) (items []apItem) {
	var not []rule.Condition
	for _, p := range s.proxies {
		item := apItem{at: p.at, stop: hardStop}
		cond := rule.Condition{On: "path", Not: true}
		if p.expr != nil {
			item.matcher = p.expr.pathMatcher()
			cond.Regexp = p.expr.goText()
		} else {
			cond.Regexp = belowExpr(p.path)
			head, isFolder := strings.CutSuffix(p.path, "/")
			item.path = apPath(head) + "/*"
			if isFolder && head != "" {
				item.c.when = []rule.Condition{{On: "path", Equals: head, Not: true}}
			}
		}
		if p.not {
			not = append(not, cond)
			continue
		}
		item.c.when = append(item.c.when, not...)
		items = append(items, item)
	}
	return items
}
