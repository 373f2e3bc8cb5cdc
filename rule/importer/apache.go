package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

var (
	_ = register(Apache, importApache)
	_ = register(Htaccess, importHtaccess)
)

// Bounds of what a line that ends a list costs.
const (
	maxApacheCopies  = 20_000     // rules that are written once more for it
	maxApacheCompare = 20_000_000 // rules that are looked at for it
)

// apImport is one import.
type apImport struct {
	file     string
	opts     *Options
	res      *Result
	main     *apServer
	vhosts   []*apServer
	defines  map[string]string
	maps     map[string]*apMap
	notes    []Note
	noted    map[*apDirective]bool
	seen     map[apNoteKey]bool
	lines    int
	depth    int
	read     int // bytes of included files
	copies   int
	compared int
	slashes  bool // AllowEncodedSlashes is on
}

func newApImport(file string, o *Options) *apImport {
	return &apImport{
		file: file, opts: o, res: &Result{Mode: rule.FileOrder}, main: &apServer{},
		defines: map[string]string{}, maps: map[string]*apMap{}, noted: map[*apDirective]bool{}, seen: map[apNoteKey]bool{},
	}
}

// importApache reads a configuration of the server: httpd.conf, or one of
// sites-enabled.
func importApache(file string, in io.Reader, o Options) (*Result, error) {
	imp := newApImport(file, &o)
	if err := imp.load(in, apScope{server: imp.main}); err != nil {
		return nil, err
	}
	return imp.write()
}

// importHtaccess reads a .htaccess. Its folder's URL is Options.Folder; without
// it that of its RewriteBase, or the root.
func importHtaccess(file string, in io.Reader, o Options) (*Result, error) {
	imp := newApImport(file, &o)
	f := &apFolder{url: "/"}
	imp.main.folders = []*apFolder{f}
	if err := imp.load(in, apScope{server: imp.main, folder: f}); err != nil {
		return nil, err
	}
	switch {
	case o.Folder != "":
		f.url = "/" + strings.Trim(o.Folder, "/") + "/"
		f.url = mergeSlashes(f.url)
	case f.base != "":
		f.url = mergeSlashes(strings.TrimRight(f.base, "/") + "/")
	}
	return imp.write()
}

// load reads a file and everything in it.
func (imp *apImport) load(in io.Reader, s apScope) error {
	text, err := readAll(in)
	if err != nil {
		return err
	}
	list, lines, err := parseApache("", text, func(n Note) { imp.notes = append(imp.notes, n) })
	if err != nil {
		return err
	}
	imp.lines = lines
	imp.eval(list, s)
	imp.unfinished(imp.main)
	for _, v := range imp.vhosts {
		imp.unfinished(v)
	}
	return nil
}

// unfinished notes conditions that no rule follows, and rules where the engine
// is off.
func (imp *apImport) unfinished(s *apServer) {
	note := func(engine bool, conds []apCond, rules []*apRule) {
		for _, c := range conds {
			imp.notes = append(imp.notes, c.at.note(Dropped, "no RewriteRule follows"))
		}
		if engine {
			return
		}
		for _, r := range rules {
			imp.notes = append(imp.notes, r.at.note(Dropped, "RewriteEngine is not on here"))
		}
	}
	note(s.engine, s.conds, s.rules)
	for _, f := range s.folders {
		note(f.engine, f.conds, f.rules)
	}
}

// write writes all rules, and the notes in the order of the file.
func (imp *apImport) write() (*Result, error) {
	imp.res.Lines = imp.lines
	servers := imp.servers()
	if !imp.slashes {
		refused := rule.Rule{Regexp: "%2F", Intent: rule.Pass, Note: "Apache answers an encoded slash with 404 (AllowEncodedSlashes Off)"}
		if err := imp.writeOrNote(refused, nil); err != nil {
			return nil, err
		}
	}
	for i, s := range servers {
		if err := imp.writeServer(s); err != nil {
			return nil, err
		}
		if s.limit != nil && i < len(servers)-1 {
			r := rule.Rule{Intent: rule.Pass, Scheme: s.scheme}
			s.setHosts(&r, nil)
			if err := imp.writeOrNote(r, s.at); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(imp.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	for _, n := range imp.notes {
		if n.Nearest < 0 {
			n.Nearest = 0
		}
		imp.res.note(n)
	}
	return imp.res, nil
}

// apFlat is an item with the place from which on nothing of its list is left.
type apFlat struct {
	apItem
	next int  // of the list after its own
	more bool // a redirect of its own list follows
}

func flatten(stages [][]apItem) (flat []apFlat) {
	for _, stage := range stages {
		from := len(flat)
		for _, it := range stage {
			flat = append(flat, apFlat{apItem: it})
		}
		more := false
		for i := len(flat) - 1; i >= from; i-- {
			flat[i].next, flat[i].more = len(flat), more
			more = more || flat[i].stop == noStop || flat[i].stop == hardStop
		}
	}
	for len(flat) > 0 && flat[len(flat)-1].stop != noStop && len(flat[len(flat)-1].changed) == 0 {
		flat = flat[:len(flat)-1] // nothing follows that it could keep anything from
	}
	return flat
}

func (imp *apImport) writeServer(s *apServer) error {
	flat := flatten(imp.stages(s))
	for i := range flat {
		it := &flat[i]
		if it.stop == softStop && !it.more && it.args == nil {
			continue
		}
		if it.stop == softStop && !it.seen || it.stop == goThrough {
			if err := imp.writeCopies(s, it, flat[min(it.next, len(flat)):]); err != nil {
				return err
			}
		}
		if it.stop == goThrough {
			continue
		}
		if err := imp.writeItem(s, &it.apItem); err != nil {
			return err
		}
	}
	return nil
}

// writeCopies lets requests that a soft stop ends go on to later lists.
func (imp *apImport) writeCopies(s *apServer, stop *apFlat, later []apFlat) error {
	for i := range later {
		if imp.compared++; imp.compared > maxApacheCompare || imp.copies > maxApacheCopies {
			stop.changed = append(stop.changed, "its requests do not get to the lines that come after this list: there are too many")
			return nil
		}
		if later[i].stop == softStop || later[i].stop == goThrough {
			continue
		}
		it := copyItem(later[i].apItem)
		it.changed = nil
		c, ok := stop.c.join(it.c)
		if !ok || !mayOverlap(&stop.apItem, &it) {
			continue
		}
		imp.copies++
		it.c = c
		it.withArgs(stop.args)
		if m := stop.matcher; m != nil {
			it.c.when = append(it.c.when, m.conditions(false)...)
		} else if stop.path != "" {
			it.c.when = append(it.c.when, rule.Condition{On: "path", Regexp: "^" + quotePCRE(strings.TrimSuffix(stop.path, "*"))})
		}
		if err := imp.writeItem(s, &it); err != nil {
			return err
		}
	}
	return nil
}

// mayOverlap reports whether some path could be for both.
func mayOverlap(a, b *apItem) bool {
	if a.matcher != nil && a.matcher.isExact && !a.matcher.expr.fold && !a.matcher.expr.optSlash {
		return b.takes(a.matcher.exact)
	}
	if b.matcher != nil && b.matcher.isExact && !b.matcher.expr.fold && !b.matcher.expr.optSlash {
		return a.takes(b.matcher.exact)
	}
	x, y := a.head(), b.head()
	n := min(len(x), len(y))
	return x[:n] == y[:n]
}

// takes reports whether the item could be for a path.
func (it *apItem) takes(path string) bool {
	m := it.matcher
	switch {
	case m == nil:
		head, below := strings.CutSuffix(it.path, "/*")
		if it.path == "" || strings.Contains(it.path, "%") {
			return true
		}
		return path == head || below && strings.HasPrefix(path, head+"/")
	case m.prefix != "":
		rest, ok := strings.CutPrefix(path, m.prefix)
		return ok && m.expr.matches(rest)
	}
	return m.expr.matches(path)
}

// head is what every path of the item begins with.
func (it *apItem) head() string {
	m := it.matcher
	switch {
	case m == nil && !strings.Contains(it.path, "%"):
		return strings.TrimSuffix(it.path, "/*")
	case m == nil || m.expr.fold:
		return ""
	case m.expr.anchored:
		return m.prefix + m.expr.literal
	}
	return m.prefix
}

// writeItem writes an item's rule and its notes. One that is not valid is
// dropped with the reason.
func (imp *apImport) writeItem(s *apServer, it *apItem) error {
	if s.scheme != "" && it.c.scheme != "" && s.scheme != it.c.scheme {
		return nil
	}
	before := imp.res.Count
	if err := imp.writeOrNote(it.toRule(s), it.at); err != nil {
		return err
	}
	if imp.res.Count > before {
		for _, reason := range it.changed {
			imp.noteOnce(it.at, Changed, reason, imp.res.Count)
		}
	}
	return nil
}

// writeOrNote writes a rule, or notes why it is not valid.
func (imp *apImport) writeOrNote(r rule.Rule, at *apDirective) error {
	err := imp.writeRule(r, at)
	if invalid, ok := errors.AsType[*apInvalidError](err); ok {
		imp.noteOnce(at, Dropped, invalid.Error(), 0)
		return nil
	}
	return err
}

// apNoteKey keeps a note from coming twice.
type apNoteKey struct {
	at     *apDirective
	reason string
}

// apInvalidError is why a rule is not valid.
type apInvalidError struct{ err error }

func (e *apInvalidError) Error() string { return oneLine(e.err) }

func (imp *apImport) noteOnce(at *apDirective, kind NoteKind, reason string, nearest int) {
	if at == nil {
		return
	}
	key := apNoteKey{at, reason}
	if imp.seen[key] {
		return
	}
	imp.seen[key] = true
	n := at.note(kind, reason)
	n.Nearest = nearest
	imp.notes = append(imp.notes, n)
}

func (imp *apImport) writeRule(r rule.Rule, at *apDirective) error {
	r.Pos.File = imp.file
	if at != nil {
		r.Pos = rule.Position{File: cmp.Or(at.file, imp.file), Line: at.line, Column: at.column}
	}
	if len(r.When) > rule.MaxList {
		return &apInvalidError{fmt.Errorf("more than %d conditions", rule.MaxList)}
	}
	if err := r.Validate(); err != nil {
		return &apInvalidError{err}
	}
	return imp.res.add(imp.opts, &r)
}

// include reads the files that a pattern names.
func (imp *apImport) include(d *apDirective, s apScope) error {
	pattern := strings.Join(apWords(d.args), " ")
	name := strings.TrimPrefix(pattern, "/")
	if imp.opts.Files == nil {
		return errors.New("the file is not read: import it too, or give its folder")
	}
	if imp.depth >= maxApacheDepth {
		return fmt.Errorf("files include each other deeper than %d", maxApacheDepth)
	}
	files, err := fs.Glob(imp.opts.Files, name)
	if info, statErr := fs.Stat(imp.opts.Files, name); statErr == nil && info.IsDir() {
		files, err = fs.Glob(imp.opts.Files, name+"/*")
	}
	if err != nil || len(files) == 0 {
		if d.name == "includeoptional" {
			return nil
		}
		return errors.New("there is no such file")
	}
	imp.depth++
	defer func() { imp.depth-- }()
	for _, file := range files {
		if err := imp.includeFile(file, s); err != nil {
			return err
		}
	}
	return nil
}

func (imp *apImport) includeFile(file string, s apScope) error {
	text, err := fs.ReadFile(imp.opts.Files, file)
	if err != nil {
		return err
	}
	if imp.read += len(text); imp.read > MaxFile {
		return fmt.Errorf("more than %d bytes are included: %w", MaxFile, ErrTooLarge)
	}
	list, _, err := parseApache(file, string(text), func(n Note) { imp.notes = append(imp.notes, n) })
	if err != nil {
		return err
	}
	imp.eval(list, s)
	return nil
}
