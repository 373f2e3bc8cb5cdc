package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/open"
)

// runFlags are the flags of "seeother run".
type runFlags struct {
	listen, admin, adminTokenFile string
	data, store                   string
	config                        string
	rules                         []string
	reportOnly, protect           bool
	logFormat                     string
	api                           apiFlags
}

func newRun() *cobra.Command {
	var f runFlags
	verb := &cobra.Command{
		Use:   "run [flags] UPSTREAM | run [flags] -- COMMAND...",
		Short: "Stand in front of an app",
		Long: `Stand in front of an app: make its redirects right and its submissions happen once.

UPSTREAM is an app that runs already: http://127.0.0.1:5000, localhost:5000 or 5000.
COMMAND is started, with PORT in its environment, and is expected to listen there;
its output is passed on, and signals are passed on to it. With both, COMMAND is
expected to listen at UPSTREAM.

SIGTERM and Ctrl-C stop it: what runs is finished first, a second one ends it at
once. SIGHUP reads the configuration, and the tokens of --api, again.`,
		Example: `  seeother run http://127.0.0.1:5000
  seeother run -- flask run
  seeother run --protect 5000              forms start their work once
  seeother run --report-only 5000          look first, change nothing
  seeother run --rules _redirects 5000
  seeother run --config seeother.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			upstreams, command := args, []string(nil)
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				upstreams, command = args[:at], args[at:]
			}
			if len(upstreams) > 1 {
				return &usageError{
					fmt.Errorf("one app at a time, and got %q", upstreams),
					"a command goes behind two dashes: seeother run -- flask run",
				}
			}
			return f.run(cmd, upstreams, command)
		},
	}
	defaults := configfile.Default()
	flags := verb.Flags()
	flags.StringVar(&f.listen, "listen", defaults.Listen, "where clients connect, `host:port`; port 0 takes a free one")
	flags.StringVar(&f.admin, "admin", defaults.Admin.Listen, "where operators connect, `host:port`, or off")
	flags.StringVar(&f.adminTokenFile, "admin-token-file", "", "`file` with the token that admin requests must show; required beyond loopback")
	flags.StringVar(&f.data, "data", "", "`folder` of the embedded store, created for its owner alone (default $STATE_DIRECTORY, or seeother-data)")
	flags.StringVar(&f.store, "store", "", "`URL` of the store instead: redis://host:port, postgres://host/database, journal:///folder, bolt:///folder, or memory: (forgets at the end)")
	flags.StringVar(&f.config, "config", "", "configuration `file`; flags win over it")
	flags.StringArrayVar(&f.rules, "rules", nil, "`file` of redirect rules, or a pattern; repeatable: _redirects, .csv, .jsonl or .yaml. They are read again when they change")
	flags.StringVar(&f.api.addr, "api", "", "where code and agents connect, `host:port`: the service of seeother once serve, on the same store")
	flags.StringVar(&f.api.tokenFile, "api-token-file", "", "`file` with lines of tenant:token for --api; required beyond loopback")
	flags.BoolVar(&f.api.knownAgents, "known-agents", false, "at --api, refuse agents that nobody has written down")
	flags.BoolVar(&f.reportOnly, "report-only", false, "change nothing, and log what would have been changed")
	flags.BoolVar(&f.protect, "protect", false, "make forms that are refreshed, double-clicked or gone back to start their work once, on every route")
	flags.StringVar(&f.logFormat, "log-format", defaults.Log.Format, "`format` of the log: text or json")
	_ = verb.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return verb
}

// load reads the configuration, and lets the flags that were given win.
func (f *runFlags) load(cmd *cobra.Command) (configfile.File, error) {
	file := configfile.Default()
	if f.protect { // what the file says of a route, or of all, wins
		file.Forms.Stage = seeother.Enforce
	}
	if f.config != "" {
		var err error
		if file, err = configfile.LoadOver(file, f.config); err != nil {
			return file, err
		}
		file.RuleFiles = inFolder(f.config, file.RuleFiles)
	}
	given := cmd.Flags().Changed
	for _, flag := range []struct {
		name     string
		from, to *string
	}{
		{"listen", &f.listen, &file.Listen},
		{"admin", &f.admin, &file.Admin.Listen},
		{"admin-token-file", &f.adminTokenFile, &file.Admin.TokenFile},
		{"data", &f.data, &file.Data},
		{"store", &f.store, &file.Store},
		{"log-format", &f.logFormat, &file.Log.Format},
	} {
		if given(flag.name) {
			*flag.to = *flag.from
		}
	}
	file.RuleFiles = append(file.RuleFiles, f.rules...)
	if given("report-only") {
		file.ReportOnly = f.reportOnly
	}
	return file, f.check(cmd, &file)
}

// check looks at what the flags made of the file.
func (f *runFlags) check(cmd *cobra.Command, file *configfile.File) error {
	const hint = "see seeother run --help"
	given := cmd.Flags().Changed
	switch {
	case given("data") && given("store"):
		return &usageError{errors.New("--data and --store name two stores"), "give one of them"}
	case given("data"):
		file.Store = ""
	}
	for _, flag := range []string{"api-token-file", "known-agents"} {
		if given(flag) && f.api.addr == "" {
			return &usageError{fmt.Errorf("--%s is of the service, and there is no --api", flag), "say where it listens: --api 127.0.0.1:8305"}
		}
	}
	if file.Log.Format != "text" && file.Log.Format != "json" {
		return &usageError{fmt.Errorf("--log-format %q: want text or json", file.Log.Format), hint}
	}
	if err := file.Validate(); err != nil {
		return &usageError{err, cmp.Or(hintOf(err), hint)}
	}
	return nil
}

// upstreamOf says where the app is, and on which port a command is to listen.
func upstreamOf(ctx context.Context, file configfile.File, args, command []string) (*url.URL, error) {
	switch {
	case len(args) == 1:
		u, err := configfile.ParseUpstream(args[0])
		if err != nil {
			return nil, &usageError{fmt.Errorf("app %q: %w", args[0], err), "for example: seeother run http://127.0.0.1:5000"}
		}
		return u, nil
	case file.Upstream.URL != "":
		return url.Parse(string(file.Upstream.URL))
	case len(command) > 0:
		port, err := freePort(ctx)
		if err != nil {
			return nil, fmt.Errorf("port for the app: %w", err)
		}
		return &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}, nil
	}
	return nil, &usageError{
		errors.New("no app is named"),
		"for example: seeother run http://127.0.0.1:5000, or seeother run -- flask run",
	}
}

func (f *runFlags) run(cmd *cobra.Command, args, command []string) error {
	// Before anything else, so that a signal is never lost.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	surviveBrokenPipes()

	file, err := f.load(cmd)
	if err != nil {
		return err
	}
	tuneGC(0, int64(file.Once.Memory))
	upstream, err := upstreamOf(cmd.Context(), file, args, command)
	if err != nil {
		return err
	}
	if upstream.Host == file.Listen {
		return &usageError{fmt.Errorf("the app and the gateway are both at %s", file.Listen), "give the gateway another address with --listen"}
	}
	level := new(slog.LevelVar)
	level.Set(logLevel(file.Log.Level))
	lines := newLogWriter(cmd.ErrOrStderr(), file.Log.Format)
	defer lines.close()
	s := &server{
		file: file, upstream: upstream, command: command, level: level, signals: signals,
		log: newLogger(lines, file.Log.Format, level, colored(cmd.ErrOrStderr())),
		out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(),
		reread: func() (configfile.File, error) { return f.load(cmd) },
		config: f.config, reads: f.config != "" || len(f.rules) > 0, apiFlags: f.api,
	}
	slog.SetDefault(s.log) // by which a store tells of trouble that no call is told of
	return s.run(cmd.Context())
}

// surviveBrokenPipes keeps the process alive when whoever reads its log goes
// away. To ignore the signal would be inherited by the app.
func surviveBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, file configfile.File) (store.Store, error) {
	st, err := openAt(ctx, file.Store, dataDir(file))
	switch {
	case errors.Is(err, open.ErrURL):
		err = &usageError{err, "leave --store out for the embedded one"}
	case errors.Is(err, open.ErrLocked):
		err = &hinted{err, "stop that one, or name another folder with --data"}
	case errors.Is(err, open.ErrDurability):
		err = &hinted{err, "records that a crash can take away let a submission run twice"}
	case errors.Is(err, os.ErrPermission):
		err = &hinted{err, "name a folder that this user may write to, with --data"}
	}
	return st, err
}

// openAt opens the store of a URL, or the embedded one in dir where there is none.
func openAt(ctx context.Context, rawURL, dir string) (store.Store, error) {
	if rawURL != "" {
		return open.Open(ctx, rawURL)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return open.Folder(dir)
}

// dataDir is the folder of the embedded store.
func dataDir(file configfile.File) string {
	if file.Data != "" {
		return file.Data
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	return "seeother-data"
}
