package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/service"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// apiFlags say where the service for code and agents listens.
type apiFlags struct {
	addr, tokenFile string
	knownAgents     bool
}

// tokens reads the token file. Without one only this machine may connect.
func (f apiFlags) tokens(flag string) (map[string]string, error) {
	if f.tokenFile == "" {
		if !configfile.IsLoopback(f.addr) {
			return nil, &usageError{
				fmt.Errorf("--%s %s can be reached from other machines", flag, f.addr),
				"name a file with lines of tenant:token, or listen on 127.0.0.1",
			}
		}
		return nil, nil
	}
	file, err := os.Open(f.tokenFile)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	tokens, err := service.ParseTokens(file)
	if err != nil {
		return nil, &hinted{fmt.Errorf("token file %q: %w", f.tokenFile, err), "lines are tenant:token; make a token with: openssl rand -hex 32"}
	}
	return tokens, nil
}

// api is the service while it runs.
type api struct {
	flags   apiFlags
	log     *slog.Logger
	service *service.Service
	server  *http.Server
}

// reread takes the token file as it is now. One with a mistake changes nothing.
func (a *api) reread(ctx context.Context) {
	if a.flags.tokenFile == "" {
		return
	}
	tokens, err := a.flags.tokens("")
	if err == nil {
		err = a.service.SetTokens(ctx, tokens)
	}
	if err != nil {
		a.log.Error("the token file cannot be used, and the tokens before stay", "error", err)
		return
	}
	a.log.Info("the token file is read again", "file", a.flags.tokenFile, "tokens", len(tokens))
}

// startAPI serves the service on st. An end that nobody asked for is sent to failed.
func startAPI(ctx context.Context, f apiFlags, flag string, st store.Store, cfg once.Config, log *slog.Logger, failed chan<- error) (*api, net.Addr, error) {
	tokens, err := f.tokens(flag)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(f.tokenFile); f.tokenFile != "" && err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("others may read the token file", "file", f.tokenFile, "mode", info.Mode().Perm().String(), "hint", "chmod 600")
	}
	ln, err := listen(ctx, flag, f.addr)
	if err != nil {
		return nil, nil, err
	}
	s, err := service.New(ctx, st, service.Config{Tokens: tokens, Once: cfg, KnownAgents: f.knownAgents, Log: log})
	if err != nil {
		return nil, nil, errors.Join(err, ln.Close())
	}
	s.ServeMetrics(admin.ServiceMetrics(version(), s, admin.Checks(admin.Probe{Name: "store", Run: st.Ready})))
	a := &api{f, log, s, service.NewServer(s)}
	go func() {
		if err := a.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("address %s: %w", ln.Addr(), err)
		}
	}()
	return a, ln.Addr(), nil
}

// stop finishes what runs. Leases that callers hold stay.
func (a *api) stop(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, apiTime) // the service needs some of the rest
	defer cancel()
	err := a.server.Shutdown(soon)
	if err != nil {
		err = a.server.Close() // somebody waits for somebody else
	}
	return errors.Join(err, a.service.Close(ctx))
}

// serveFlags are the flags of "seeother once serve".
type serveFlags struct {
	apiFlags

	data, store, logFormat string
}

func newOnceServe() *cobra.Command {
	var f serveFlags
	verb := &cobra.Command{
		Use:   "serve",
		Short: "Offer run-once to code and agents, as a JSON API",
		Long: `Offer run-once to code in any language, and to agents, as a JSON API: check a key,
do the work when told to execute, and say how it went. See docs/service.md.

Without a token file only this machine may connect. SIGHUP reads it again. SIGTERM
and Ctrl-C stop it; leases that callers hold go on, and are completed when it is back.`,
		Example: `  seeother once serve
  seeother once serve --listen 0.0.0.0:8305 --token-file tokens --store postgres://seeother@db/seeother
  curl -s localhost:8305/v1/check -d '{"key":"invoice-1"}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := verb.Flags()
	flags.StringVar(&f.addr, "listen", "127.0.0.1:8305", "where callers connect, `host:port`; port 0 takes a free one")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with lines of tenant:token; required beyond loopback")
	flags.BoolVar(&f.knownAgents, "known-agents", false, "refuse agents that nobody has written down")
	flags.StringVar(&f.data, "data", "", "`folder` of the embedded store, created for its owner alone (default $STATE_DIRECTORY, or seeother-data)")
	flags.StringVar(&f.store, "store", "", "`URL` of the store instead: redis://host:port, postgres://host/database, ...")
	flags.StringVar(&f.logFormat, "log-format", "text", "`format` of the log: text or json")
	_ = verb.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return verb
}

func (f *serveFlags) run(cmd *cobra.Command) (err error) {
	const hint = "see seeother once serve --help"
	switch {
	case f.data != "" && f.store != "":
		return &usageError{errors.New("--data and --store name two stores"), "give one of them"}
	case f.logFormat != "text" && f.logFormat != "json":
		return &usageError{fmt.Errorf("--log-format %q: want text or json", f.logFormat), hint}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	again := make(chan os.Signal, 1)
	if f.tokenFile != "" { // else SIGHUP ends it: the terminal is gone
		signal.Notify(again, syscall.SIGHUP)
		defer signal.Stop(again)
	}
	surviveBrokenPipes()
	lines := newLogWriter(cmd.ErrOrStderr(), f.logFormat)
	defer lines.close()
	log := newLogger(lines, f.logFormat, slog.LevelInfo, colored(cmd.ErrOrStderr()))
	slog.SetDefault(log) // by which a store tells of trouble that no call is told of
	st, err := openStore(ctx, configfile.File{Store: f.store, Data: f.data})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }() // last of all
	failed := make(chan error, 1)
	a, addr, err := startAPI(ctx, f.apiFlags, "listen", st, once.Config{}, log, failed)
	if err != nil {
		return err
	}
	log.Info("run-once is served", "listen", "http://"+addr.String(), "tokens", f.tokenFile != "", "store", cmp.Or(schemeOf(f.store), "embedded"))
	for waits := true; waits; {
		select {
		case <-again:
			a.reread(ctx)
			continue
		case <-ctx.Done():
			log.Info("stopping: what is asked is answered first")
		case err = <-failed:
		}
		waits = false
	}
	end, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return errors.Join(err, a.stop(end))
}

// schemeOf is what may be said of a store's URL, which can hold a password.
func schemeOf(rawURL string) string {
	for i := range rawURL {
		if rawURL[i] == ':' {
			return rawURL[:i]
		}
	}
	return ""
}

// apiTime bounds how long callers of the service are waited for at the end.
const apiTime = 5 * time.Second
