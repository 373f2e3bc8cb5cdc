package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

// importFlags are the flags of "seeother import".
type importFlags struct {
	transfer

	root    string
	folder  string
	host    string
	origins []string
}

func newImport() *cobra.Command {
	var f importFlags
	verb := &cobra.Command{
		Use:   "import FORMAT FILE",
		Short: "Take redirect rules over from another server or platform",
		Long: `Take redirect rules over from another server or platform. What comes out is a file
of rules for "seeother run --rules" and "seeother check". FILE may be - for
standard input. FORMAT may be left out where the name of FILE says it, such as
nginx.conf, .htaccess, netlify.toml or vercel.json.

Every line that could not be taken over exactly is listed on standard error, with
the reason and the nearest rule. Where there are such lines, nothing is written
and the exit code is 1, unless you say --allow-dropped.

` + formatsHelp() + `
docs/import.md says what of each is taken over, and has a page for each source.

Exit codes: 0 done, 1 something was dropped or changed, or the file cannot be read,
2 the command line is wrong.`,
		Example: `  seeother import nginx /etc/nginx/nginx.conf -o rules.jsonl
  seeother import netlify _redirects -o rules.jsonl
  seeother import csv redirects.csv --allow-dropped > rules.jsonl
  seeother import vercel vercel.json --format json -o rules.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return exactly(2, "a FORMAT and a FILE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return importFormats(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	f.add(verb, "jsonl")
	flags := verb.Flags()
	flags.StringVar(&f.root, "root", "", "`folder` in which files that FILE includes are looked for, by their whole path; without it, an include is listed as dropped")
	flags.StringVar(&f.folder, "folder", "", "`path` on the site, such as /shop, of the folder that a .htaccess lies in; without it, what its RewriteBase says, or the root")
	flags.StringVar(&f.host, "host", "", "`host` that the file is for, where it does not say so itself")
	flags.StringArrayVar(&f.origins, "origin", nil, "`origin` such as https://www.example.com, to which a target may lead whose host comes from the request; repeatable")
	_ = verb.MarkFlagDirname("root")
	return verb
}

// formatTexts say what each format is.
var formatTexts = []struct {
	format importer.Format
	text   string
}{
	{importer.Nginx, "nginx.conf, a file of sites-enabled, or a snippet"},
	{importer.Apache, "httpd.conf, or a file of sites-enabled"},
	{importer.Htaccess, ".htaccess"},
	{importer.Netlify, "_redirects of Netlify"},
	{importer.NetlifyTOML, "netlify.toml"},
	{importer.Cloudflare, "_redirects of Cloudflare Pages"},
	{importer.CloudflareBulk, "the CSV of Cloudflare's bulk redirects"},
	{importer.Vercel, "vercel.json"},
	{importer.VercelBulk, "Vercel's bulk redirects: CSV, JSON or JSON Lines"},
	{importer.CSV, "a spreadsheet saved as CSV"},
	{importer.JSONLines, "rules as JSON Lines"},
}

func formatsHelp() string {
	var b strings.Builder
	b.WriteString("Formats:\n")
	for _, f := range formatTexts {
		fmt.Fprintf(&b, "  %-16s %s\n", f.format, f.text)
	}
	return b.String()
}

func importFormats() []cobra.Completion {
	out := make([]cobra.Completion, len(formatTexts))
	for i, f := range formatTexts {
		out[i] = cobra.CompletionWithDesc(string(f.format), f.text)
	}
	return out
}

// wellKnown are file names that belong to one format.
var wellKnown = map[string]importer.Format{
	"nginx.conf": importer.Nginx, "httpd.conf": importer.Apache, "apache2.conf": importer.Apache,
	".htaccess": importer.Htaccess, "netlify.toml": importer.NetlifyTOML, "vercel.json": importer.Vercel,
}

// source is the format and the file that the arguments name.
func (f *importFlags) source(args []string) (importer.Format, string, error) {
	file := args[len(args)-1]
	if len(args) == 2 {
		format := importer.Format(args[0])
		if !slices.Contains(importer.Formats(), format) {
			return "", "", &usageError{fmt.Errorf("format %q: want one of %s", args[0], formatNames()), "see seeother import --help"}
		}
		return format, file, nil
	}
	format, ok := wellKnown[filepath.Base(file)]
	if !ok {
		return "", "", &usageError{fmt.Errorf("%s: the name does not say in which format it is: want one of %s before it", file, formatNames()), "for example: seeother import nginx " + file}
	}
	return format, file, nil
}

func formatNames() string {
	names := make([]string, len(formatTexts))
	for i, f := range formatTexts {
		names[i] = string(f.format)
	}
	return strings.Join(names, ", ")
}

func (f *importFlags) run(cmd *cobra.Command, args []string) error {
	format, file, err := f.source(args)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	for _, origin := range f.origins {
		if _, err := seeother.ParseOrigin(origin); err != nil {
			return &usageError{err, "for example: --origin https://www.example.com"}
		}
	}
	in, err := openInput(cmd, file)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	opts := importer.Options{Host: f.host, Origins: f.origins, Folder: f.folder}
	if f.root != "" {
		root, err := os.OpenRoot(f.root)
		if err != nil {
			return err
		}
		defer root.Close() //nolint:errcheck // as above
		opts.Files = root.FS()
	}
	report, err := f.convert(format, file, in, opts)
	if err != nil {
		return err
	}
	return f.finish(cmd, report)
}

// openInput opens a file, or standard input for "-".
func openInput(cmd *cobra.Command, file string) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	in, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, &hinted{err, "name the file that has the redirects today"}
	}
	if info, err := in.Stat(); err == nil && info.IsDir() {
		return nil, errors.Join(fmt.Errorf("%s: a folder; want a file", file), in.Close())
	}
	return in, nil
}

// convert reads rules and writes them into the buffer. JSON Lines are written
// while they are read; the other formats want the rules in an order of theirs.
func (f *importFlags) convert(format importer.Format, file string, in io.Reader, opts importer.Options) (*transferReport, error) {
	name := file
	if file == "-" {
		name = "standard input"
	}
	report := &transferReport{file: name, out: f.target(), buf: &bytes.Buffer{}}
	var sink *ruleSink
	if f.to == rule.FormatJSONL {
		opts.Begin = func(m rule.Mode) { sink = newRuleSink(report, f.to, m) }
		opts.Add = func(r *rule.Rule) error { return sink.write(r) }
	}
	res, err := importer.Import(format, name, in, opts)
	if err != nil {
		return nil, explain(err)
	}
	report.lines, report.notes = res.Lines, fromImporter(res.Notes, name)
	if sink == nil {
		sink = newRuleSink(report, f.to, res.Mode)
	}
	if f.to == rule.FormatJSONL {
		return report, sink.close()
	}
	if err := f.writeOrdered(sink, res.Rules, res.Mode); err != nil {
		return nil, err
	}
	return report, sink.close()
}

// explain adds what to do about an error of an import.
func explain(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &hinted{err, "name the file that has the redirects today"}
	}
	if errors.Is(err, importer.ErrTooLarge) {
		return &hinted{err, "cut the file into several, and name all of them for --rules"}
	}
	return &hinted{err, "nothing was written; look whether FORMAT is right: see seeother import --help"}
}

// fromImporter are the notes with the name of the file.
func fromImporter(notes []importer.Note, file string) []transferNote {
	out := make([]transferNote, len(notes))
	for i, n := range notes {
		if n.File == "" {
			n.File = file
		}
		out[i] = transferNote{File: n.File, Line: n.Line, Column: n.Column, Text: n.Text, Kind: n.Kind, Reason: n.Reason, nearest: n.Nearest}
	}
	return out
}
