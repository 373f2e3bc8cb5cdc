// Package importer takes over redirect rules from where they are today: nginx,
// Apache, Netlify, Cloudflare, Vercel, or a table.
//
// Import reads one file and gives rules for package rule and notes. A note says
// what was left out or became something else, in which line, and why: every
// line that bears on redirects is either taken over exactly or has a note.
// Requests that the other server keeps to itself before a later redirect could
// take them become rules with the intent "pass".
//
// Nothing is executed and nothing is fetched. A file that another one includes
// is read only where Options.Files has it.
package importer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// Format is the name of a format that Import reads.
type Format string

// The formats.
const (
	Nginx          Format = "nginx"           // a whole nginx.conf, a file of sites-enabled, or a snippet
	Apache         Format = "apache"          // httpd.conf, or a file of sites-enabled
	Htaccess       Format = "htaccess"        // .htaccess
	Netlify        Format = "netlify"         // _redirects
	NetlifyTOML    Format = "netlify-toml"    // netlify.toml
	Cloudflare     Format = "cloudflare"      // _redirects of Pages
	CloudflareBulk Format = "cloudflare-bulk" // the CSV of bulk redirects
	Vercel         Format = "vercel"          // vercel.json
	VercelBulk     Format = "vercel-bulk"     // the CSV of bulk redirects
	CSV            Format = "csv"             // two columns or more, with or without a header
	JSONLines      Format = "jsonl"           // JSON Lines
)

// ErrFormat is what Import gives, wrapped, for a format that it does not know.
var ErrFormat = errors.New("unknown format")

// ErrTooLarge is what Import gives, wrapped, for a file that is larger, has
// more rules or is nested deeper than Import takes.
var ErrTooLarge = errors.New("too large")

// Bounds of what Import takes.
const (
	MaxFile  = 1 << 30    // bytes of a file, what it includes with it
	MaxRules = 10_000_000 // that one import makes
	MaxNotes = 100_000    // that are kept; the last one says that there were more
	maxText  = 200        // bytes of a note's Text
)

// Options is what an import needs to know beyond the file. The zero value
// serves.
type Options struct {
	// Files holds the files that the imported one includes, by the name that
	// it gives without the leading slash. Nil: an include is noted.
	Files fs.FS
	// Origins are where targets may lead whose host comes from the request, in
	// addition to Host and the names of the server that the line belongs to.
	Origins []string
	// Folder is the URL of the folder that a .htaccess lies in. Empty: what its
	// RewriteBase says, or the root.
	Folder string
	// Host is the host that a target without one belongs to, and that rules
	// without one are for, where a format asks for it. With it nginx and Apache
	// servers for every host count as ones for it. Empty: any.
	Host string
	// Begin and Add, if Add is not nil, get the rules instead of Result.Rules,
	// so that a million need not be kept: Begin once with the mode, then Add
	// with each. The rule is Add's only during the call. An error ends the
	// import and is returned.
	Begin func(rule.Mode)
	Add   func(*rule.Rule) error
}

// NoteKind is what became of a line.
type NoteKind uint8

// The kinds of notes.
const (
	Dropped NoteKind = iota // no rule was made of it
	Changed                 // the rule differs from it, as Reason says
)

// String is "dropped" or "changed".
func (k NoteKind) String() string {
	if k == Changed {
		return "changed"
	}
	return "dropped"
}

// MarshalText is String.
func (k NoteKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Note is one thing that is not exactly as it was.
type Note struct {
	File   string   `json:"file,omitempty"`   // where it is not the file that was given, but one that it includes
	Line   int      `json:"line"`             // from 1
	Column int      `json:"column,omitempty"` // in bytes, from 1; 0: the whole line
	Text   string   `json:"text"`             // what stands there, cut
	Kind   NoteKind `json:"kind"`
	Reason string   `json:"reason"`
	// Nearest is the number, from 1, of the nearest rule that was made: the
	// changed one itself, or the last one before the place. 0: none.
	Nearest int `json:"nearest,omitempty"`
}

// String is "line:column: kind: reason: text".
func (n Note) String() string {
	pos := rule.Position{File: n.File, Line: n.Line, Column: n.Column}
	return fmt.Sprintf("%s: %s: %s: %s", strings.TrimPrefix(pos.String(), ":"), n.Kind, n.Reason, n.Text)
}

// Result is what an import gives.
type Result struct {
	Mode  rule.Mode
	Rules []rule.Rule // none where Options.Add took them
	Count int         // of rules made
	Notes []Note      // in the order of the file, as far as it has one
	Lines int         // of the file

	begun bool
}

// Dropped counts the notes of that kind.
func (r *Result) Dropped() int {
	n := 0
	for i := range r.Notes {
		if r.Notes[i].Kind == Dropped {
			n++
		}
	}
	return n
}

// Import reads in, the file named file, as f. The error is for what cannot be
// read at all; everything less is a note.
func Import(f Format, file string, in io.Reader, o Options) (*Result, error) {
	run, ok := importers[f]
	if !ok {
		return nil, fmt.Errorf("format %q: %w, want one of %s", f, ErrFormat, join(Formats()))
	}
	res, err := run(file, in, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return res, nil
}

// Formats are the formats that Import knows, sorted.
func Formats() []Format { return slices.Sorted(maps.Keys(importers)) }

// importer reads one format.
type importer func(file string, in io.Reader, o Options) (*Result, error)

// importers are entered by the files that hold them, with register.
var importers = map[Format]importer{}

// register enters an importer. It is for package-level variables:
//
//	var _ = register(Nginx, importNginx)
func register(f Format, run importer) bool {
	importers[f] = run
	return true
}

// add hands r over, to o.Add or to the result. r may be reused by the caller;
// its slices and maps may not where the result keeps it.
func (r *Result) add(o *Options, made *rule.Rule) error {
	if r.Count >= MaxRules {
		return fmt.Errorf("more than %d rules: %w", MaxRules, ErrTooLarge)
	}
	r.Count++
	if o.Add == nil {
		r.Rules = append(r.Rules, *made)
		return nil
	}
	if !r.begun {
		r.begun = true
		if o.Begin != nil {
			o.Begin(r.Mode)
		}
	}
	return o.Add(made)
}

// note adds n, which belongs to the last rule made unless it names another. Its
// text is cut.
func (r *Result) note(n Note) {
	if len(r.Notes) >= MaxNotes {
		r.Notes[MaxNotes-1].Reason = fmt.Sprintf("more than %d notes: the others are not shown", MaxNotes)
		return
	}
	if n.Nearest == 0 {
		n.Nearest = r.Count
	}
	n.Text = cut(n.Text)
	r.Notes = append(r.Notes, n)
}

// cut is text on one line, of bounded length, without control characters.
func cut(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// readAll reads in whole, up to MaxFile, without a byte order mark.
func readAll(in io.Reader) (string, error) {
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(in, MaxFile+1))
	if err != nil {
		return "", err
	}
	if n > MaxFile {
		return "", fmt.Errorf("more than %d bytes: %w", MaxFile, ErrTooLarge)
	}
	return strings.TrimPrefix(text.String(), "\ufeff"), nil
}

func join(formats []Format) string {
	words := make([]string, len(formats))
	for i, f := range formats {
		words[i] = string(f)
	}
	return strings.Join(words, ", ")
}
