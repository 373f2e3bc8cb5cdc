package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// matchFlags are the flags of "seeother match".
type matchFlags struct {
	files   ruleFlags
	format  string
	headers []string
	at      string
	client  string
}

func newMatch() *cobra.Command {
	var f matchFlags
	verb := &cobra.Command{
		Use:   "match [flags] METHOD URL FILE...",
		Short: "Say which redirect rule answers a request, and why",
		Long: `Say which redirect rule answers a request, why others do not, where it leads from
hop to hop on this site, and what becomes of method and body on the way. Nothing
is sent anywhere.

METHOD may be left out for GET. URL may be a path alone, which begins with a
slash; it is then on the site that --origin or the configuration names. The FILEs are those of "seeother check".

Exit codes: 0 a rule redirects the request or answers 410, 1 none does, 2 the
rules or the command line are wrong.`,
		Example: `  seeother match GET /old/page _redirects
  seeother match POST https://example.com/api/v1/users seeother.yaml
  seeother match GET '/search?q=x' rules.csv -H 'Accept-Language: de'
  seeother match GET /sale rules.jsonl --at 2026-12-24 --format json`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.files.add(verb)
	flags := verb.Flags()
	flags.StringVar(&f.format, "format", formatText, "`format` of the answer: text or json")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "`header` of the request, as \"Name: value\"; repeatable")
	flags.StringVar(&f.at, "at", "", "`time` of the request, such as 2026-12-24 or 2026-12-24T18:00:00+01:00 (default now)")
	flags.StringVar(&f.client, "client", "", "`name` of the client, which decides whether a canary takes it")
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	return verb
}

func (f *matchFlags) run(cmd *cobra.Command, args []string) error {
	method, rawURL, files, err := matchArgs(args)
	if err != nil {
		return err
	}
	if f.format != formatText && f.format != formatJSON {
		return &usageError{fmt.Errorf("--format %q: want text or json", f.format), "see seeother match --help"}
	}
	set, err := f.files.read(files)
	if err != nil {
		return err
	}
	if err := f.refused(cmd, set); err != nil {
		return err
	}
	req, err := f.request(set, method, rawURL)
	if err != nil {
		return err
	}
	answer := traced(set, req)
	if f.format == formatJSON {
		err = answer.json(cmd.OutOrStdout())
	} else {
		err = answer.print(cmd.OutOrStdout())
	}
	if err == nil && answer.Hops[0].Status == 0 {
		err = &exitError{errSilent, exitFailed}
	}
	return err
}

// matchArgs tells method, URL and files apart: a method has no slash.
func matchArgs(args []string) (method, rawURL string, files []string, err error) {
	method = http.MethodGet
	if len(args) > 0 && !strings.Contains(args[0], "/") {
		method, args = strings.ToUpper(args[0]), args[1:]
	}
	if len(args) == 0 || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return "", "", nil, &usageError{errors.New("want a METHOD and a URL"), "for example: seeother match GET /old _redirects"}
	}
	return method, args[0], args[1:], nil
}

// refused tells of rules that a gateway would not take.
func (f *matchFlags) refused(cmd *cobra.Command, set *ruleSet) error {
	bad := false
	for _, found := range set.findings {
		if found.Severity == rule.Error {
			bad = true
			tell(cmd.ErrOrStderr(), "error", found.String())
		}
	}
	if !bad {
		return nil
	}
	tell(cmd.ErrOrStderr(), "hint", "a gateway would not take these rules; seeother check shows all that is wrong")
	return &exitError{errSilent, exitUsage}
}

// request is what is asked, as a gateway would see it.
func (f *matchFlags) request(set *ruleSet, method, rawURL string) (rule.Request, error) {
	req := rule.Request{Method: method, Client: f.client, Header: http.Header{}}
	scheme, rest, absolute := strings.Cut(rawURL, "://")
	if strings.HasPrefix(rawURL, "/") { // also "/a?to=https://x"
		base := set.origin()
		scheme, rest, absolute = base.Scheme, base.Host+rawURL, true
	}
	if !absolute {
		return req, &usageError{fmt.Errorf("URL %q: a URL begins with a slash, or with http:// or https://", rawURL), "for example: seeother match GET /old _redirects"}
	}
	if scheme != "http" && scheme != "https" {
		return req, &usageError{fmt.Errorf("URL %q: want http or https", rawURL), "a path alone is good, too"}
	}
	rest, _, _ = strings.Cut(rest, "#")
	host, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.HasPrefix(path, "?") {
		path = "/" + path
	}
	if _, err := seeother.ParseOrigin(scheme + "://" + host); err != nil {
		return req, &usageError{err, "for example: seeother match GET https://www.example.com/old _redirects"}
	}
	req.Scheme, req.Host = scheme, host
	req.Path, req.Query, _ = strings.Cut(path, "?")
	if _, err := url.ParseRequestURI(path); err != nil || strings.Contains(path, " ") {
		return req, &usageError{fmt.Errorf("URL %q: the server answers 400, before any rule: it cannot be read", rawURL), "write a percent sign that is meant as such %25, and a space %20"}
	}
	return req, errors.Join(f.addHeaders(&req), f.addTime(&req))
}

func (f *matchFlags) addHeaders(req *rule.Request) error {
	for _, header := range f.headers {
		name, value, ok := strings.Cut(header, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return &usageError{fmt.Errorf("--header %q: want a name, a colon and a value", header), "for example: -H 'Accept-Language: de'"}
		}
		if strings.EqualFold(name, "Host") {
			req.Host = strings.TrimSpace(value)
			continue
		}
		req.Header.Add(name, strings.TrimSpace(value))
	}
	return nil
}

func (f *matchFlags) addTime(req *rule.Request) error {
	if f.at == "" {
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, f.at); err == nil {
			req.Now = at
			return nil
		}
	}
	return &usageError{fmt.Errorf("--at %q: want a date or a time", f.at), "for example: --at 2026-12-24, or --at 2026-12-24T18:00:00+01:00"}
}

// origin is where a path alone is taken to be.
func (s *ruleSet) origin() *url.URL {
	for _, origin := range append(s.origins, s.canonical) {
		if u, err := url.Parse(origin); err == nil && u.Host != "" {
			return u
		}
	}
	return &url.URL{Scheme: "https", Host: "www.example.com"}
}
