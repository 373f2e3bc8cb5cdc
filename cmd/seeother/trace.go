package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/trace"
)

// Exit codes of "seeother trace", besides those of all verbs.
const (
	exitEndless = 3 // a loop, or too many hops
	exitRefused = 4 // a redirect that no client should follow
	exitStatus  = 5 // the last answer is not 2xx

	exitInterrupted = 128 + int(syscall.SIGINT)
)

// traceFlags are the flags of "seeother trace".
type traceFlags struct {
	method     string
	data       string
	headers    []string
	format     string
	timeout    time.Duration
	hops       int
	insecure   bool
	private    bool
	resolve    []string
	compressed bool
}

func newTrace() *cobra.Command {
	var f traceFlags
	verb := &cobra.Command{
		Use:   "trace [flags] URL",
		Short: "Follow a request hop by hop and say what becomes of it",
		Long: `Follow a request hop by hop, as the Fetch standard says, and say of each what
becomes of method, body, headers and cookies, where it leads, how it is
encrypted, for how long the answer may be kept, and how long it took; and at the
end what other clients would have done differently: browsers, curl, Go,
python-requests and okhttp.

The request is really sent. Values of cookies and bodies are never shown, and no
body of an answer is kept. A redirect from a public address to a private one is
refused, unless with --allow-private. Proxies come from HTTP_PROXY, HTTPS_PROXY
and NO_PROXY. docs/trace.md says more.

Exit codes: 0 the last answer is 2xx, 1 there was no answer, in time or at all, or
its certificate is wrong, 2 the command line is wrong, 3 a loop or too many hops,
4 a redirect that no client should follow, 5 the last answer is not 2xx, 130 it
was interrupted; what was seen up to then is written.`,
		Example: `  seeother trace https://example.com/old
  seeother trace -d 'item=42' https://shop.example/orders
  seeother trace -X PUT -d @order.json -H 'Content-Type: application/json' https://shop.example/orders/7
  seeother trace --format json https://example.com | jq '.hops[].status'`,
		Args: exactly(1, "one URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := verb.Flags()
	flags.StringVarP(&f.method, "request", "X", "", "`method` of the request (default GET, or POST with --data)")
	flags.StringVarP(&f.data, "data", "d", "", "`body` of the request, as it is; @FILE reads a file, @- standard input")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "`header` of the request, as \"Name: value\"; repeatable")
	flags.StringVar(&f.format, "format", formatText, "`format` of the answer: text or json")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "`time` for everything")
	flags.IntVar(&f.hops, "max-hops", seeother.MaxHops, fmt.Sprintf("follow at most so many redirects, 1 to %d", trace.MaxHops))
	flags.BoolVarP(&f.insecure, "insecure", "k", false, "go on where a certificate or the version of TLS is wrong")
	flags.BoolVar(&f.private, "allow-private", false, "follow redirects from a public address to a private one")
	flags.StringArrayVar(&f.resolve, "resolve", nil, "ask `HOST:PORT:ADDRESS` instead of looking the host up; repeatable")
	flags.BoolVar(&f.compressed, "compressed", false, "say that compressed answers are welcome (they are not unpacked)")
	_ = verb.RegisterFlagCompletionFunc("request", cobra.FixedCompletions([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, cobra.ShellCompDirectiveNoFileComp))
	_ = verb.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatText, formatJSON}, cobra.ShellCompDirectiveNoFileComp))
	return verb
}

func (f *traceFlags) run(cmd *cobra.Command, url string) error {
	if f.format != formatText && f.format != formatJSON {
		return &usageError{fmt.Errorf("--format %q: want text or json", f.format), "see seeother trace --help"}
	}
	config, err := f.config(cmd, url)
	if err != nil {
		return &usageError{err, "see seeother trace --help"}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	seen, err := trace.Run(ctx, config)
	if err != nil {
		return &usageError{err, "see seeother trace --help"}
	}
	w := cmd.OutOrStdout()
	if f.format == formatJSON {
		err = writeTraceJSON(w, seen)
	} else {
		err = writeTrace(w, seen, colored(w))
	}
	if code := traceCode(seen.End.Kind); err == nil && code != 0 {
		err = &exitError{errSilent, code}
	}
	return err
}

func traceCode(kind trace.Kind) int {
	switch kind {
	case trace.Arrived:
		return 0
	case trace.Loop, trace.TooMany:
		return exitEndless
	case trace.Refused:
		return exitRefused
	case trace.ErrorStatus:
		return exitStatus
	case trace.Interrupted:
		return exitInterrupted
	case trace.Untrusted, trace.TimedOut, trace.NoAnswer:
	}
	return exitFailed
}

// config is what the flags say.
func (f *traceFlags) config(cmd *cobra.Command, url string) (trace.Config, error) {
	c := trace.Config{
		Method: strings.ToUpper(f.method), URL: url, MaxHops: f.hops, Timeout: f.timeout,
		Insecure: f.insecure, AllowPrivate: f.private,
	}
	if f.hops < 1 {
		return c, fmt.Errorf("--max-hops %d: want 1 to %d", f.hops, trace.MaxHops)
	}
	if f.timeout <= 0 {
		return c, fmt.Errorf("--timeout %s: want more than nothing", f.timeout)
	}
	var errs [3]error
	c.Header, errs[0] = f.header(cmd.Flags().Changed("data"))
	c.Resolve, errs[1] = resolved(f.resolve)
	if cmd.Flags().Changed("data") {
		c.Body, errs[2] = f.body(cmd.InOrStdin())
	}
	return c, errors.Join(errs[:]...)
}

func (f *traceFlags) header(withBody bool) (http.Header, error) {
	h := http.Header{"User-Agent": {"seeother/" + version()}, "Accept": {"*/*"}}
	if withBody {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if f.compressed {
		h.Set("Accept-Encoding", "gzip, deflate, br")
	}
	own := map[string]bool{}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, errors.New("--header: want \"Name: value\"") // it may be a secret
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !own[name] {
			h.Del(name)
		}
		own[name] = true
		h.Add(name, strings.Trim(value, " \t"))
	}
	return h, nil
}

// resolved reads HOST:PORT:ADDRESS; an IPv6 address may have brackets.
func resolved(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range texts {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) < 3 || parts[0] == "" || parts[1] == "" {
			return nil, fmt.Errorf("--resolve %q: want HOST:PORT:ADDRESS", text)
		}
		if port, err := strconv.ParseUint(parts[1], 10, 16); err != nil || port == 0 {
			return nil, fmt.Errorf("--resolve %q: port %q: want 1 to 65535", text, parts[1])
		}
		out[strings.ToLower(parts[0]+":"+parts[1])] = strings.Trim(parts[2], "[]")
	}
	return out, nil
}

// body is the text of --data, or what it names.
func (f *traceFlags) body(in io.Reader) ([]byte, error) {
	name, isFile := strings.CutPrefix(f.data, "@")
	if !isFile {
		return []byte(f.data), nil
	}
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the user names it
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	body, err := io.ReadAll(io.LimitReader(in, trace.MaxBody+1)) // one more: Run tells of it
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	return body, nil
}
