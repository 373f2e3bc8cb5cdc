package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/store"
)

// closeTime bounds what is done after the last request.
const closeTime = 10 * time.Second

// server is a running "seeother run": a site with its listeners, its app, and
// the signals that it obeys.
type server struct {
	file     configfile.File
	upstream *url.URL
	command  []string // of the app; empty: it runs already
	log      *slog.Logger
	level    *slog.LevelVar
	signals  <-chan os.Signal
	out      io.Writer // of the app
	errOut   io.Writer
	reread   func() (configfile.File, error)
	config   string // the configuration file; empty: none
	reads    bool   // there is something to read again

	apiFlags apiFlags

	site    *site
	api     *api // nil: off
	front   *http.Server
	admin   *admin.Handler
	back    *http.Server // of the admin side; both nil: off
	app     *app         // nil: it runs already
	failed  chan error   // a listener that ended
	stopped context.CancelFunc

	background sync.WaitGroup // reloads, and what begin starts
	reloading  sync.Mutex     // one reload after the other
	mu         sync.Mutex
	rising     context.CancelFunc // ends what begin started; guarded by mu
}

// run serves until a signal, the app or a listener ends it.
func (s *server) run(ctx context.Context) (err error) {
	s.failed = make(chan error, 3)
	front, back, err := s.listen(ctx)
	if err != nil {
		return err
	}
	token, err := s.token()
	if err == nil {
		err = s.checkAdmin(token)
	}
	if err != nil {
		return errors.Join(err, closeAll(front, back))
	}
	st, err := openStore(ctx, s.file)
	if err != nil {
		return errors.Join(err, closeAll(front, back))
	}
	defer func() { err = errors.Join(err, st.Close()) }() // last of all
	if s.site, err = newSite(ctx, s.file, s.upstream, st, s.log, logDecisions(s.log, s.file.Log.Format)); err != nil {
		return errors.Join(err, closeAll(front, back))
	}
	defer func() { err = errors.Join(err, s.closeSite()) }()
	if err := s.startService(ctx, st); err != nil {
		return errors.Join(err, closeAll(front, back))
	}
	return s.serve(ctx, front, back, token)
}

// startService serves code and agents beside the gateway, where that is asked for.
func (s *server) startService(ctx context.Context, st store.Store) error {
	if s.apiFlags.addr == "" {
		return nil
	}
	cfg, err := onceConfig(s.file.Once)
	if err != nil {
		return err
	}
	a, addr, err := startAPI(ctx, s.apiFlags, "api", st, cfg, s.log, s.failed)
	if err != nil {
		return err
	}
	s.api = a
	s.log.Info("run-once is served to code and agents", "api", "http://"+addr.String())
	return nil
}

func (s *server) listen(ctx context.Context) (front, back net.Listener, err error) {
	if front, err = listen(ctx, "listen", s.file.Listen); err != nil {
		return nil, nil, err
	}
	if s.file.Admin.Listen == "off" {
		return front, nil, nil
	}
	if back, err = listen(ctx, "admin", s.file.Admin.Listen); err != nil {
		return nil, nil, errors.Join(err, front.Close())
	}
	return front, back, nil
}

// listen opens an address that a flag names.
func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &hinted{
			fmt.Errorf("address %s is in use", addr),
			fmt.Sprintf("stop the program that listens there, or take another address with --%s", flag),
		}
	case errors.Is(err, os.ErrPermission):
		return nil, &hinted{fmt.Errorf("address %s: %w", addr, err), "ports below 1024 are not for everyone: take a higher one"}
	case err != nil:
		return nil, fmt.Errorf("address %s: %w", addr, err)
	}
	return ln, nil
}

func closeAll(listeners ...net.Listener) error {
	var errs []error
	for _, ln := range listeners {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *server) token() (string, error) {
	if s.file.Admin.TokenFile == "" {
		return "", nil
	}
	return readToken(s.file.Admin.TokenFile)
}

func (s *server) checkAdmin(token string) error {
	if s.file.Admin.Listen == "off" {
		return nil
	}
	if err := admin.CheckListen(s.file.Admin.Listen, token); err != nil {
		return &usageError{err, hintOf(err)}
	}
	return nil
}

// serve starts everything and works until something ends it.
func (s *server) serve(ctx context.Context, front, back net.Listener, token string) error {
	ctx, s.stopped = context.WithCancel(ctx)
	defer s.stopped()
	rises, err := s.load(ctx)
	if err == nil {
		err = s.startApp()
	}
	if err != nil {
		return errors.Join(err, closeAll(front, back))
	}
	cfg := gatewayConfig(s.file, s.upstream)
	cfg.Log = s.log
	s.front = gateway.NewServer(cfg, s.site.gateway)
	s.start(s.front, front)
	if back != nil {
		s.admin = s.site.adminHandler(admin.Config{Token: token, Listen: "http://" + front.Addr().String(), Upstream: s.upstream.String()})
		s.back = admin.NewServer(s.admin)
		s.start(s.back, back)
	}
	s.greet(front, back)
	s.background.Go(func() { s.site.rules.watch(ctx, s.reread, s.config) })
	s.background.Go(func() { s.site.rules.hits.Run(ctx, s.hitsFailed) })
	s.background.Go(func() { s.site.rules.keepTuned(ctx) })
	s.begin(ctx, rises)
	return s.stop(ctx, s.await(ctx))
}

// load puts the configuration in force, and the rules that it names.
func (s *server) load(ctx context.Context) (rises bool, err error) {
	if err := s.site.rules.load(s.file, s.config); err != nil {
		return false, &rulesError{err}
	}
	return s.site.load(ctx, s.file)
}

func (s *server) startApp() error {
	if len(s.command) == 0 {
		return nil
	}
	var err error
	s.app, err = startApp(s.command, s.upstream.Port(), s.out, s.errOut)
	return err
}

// start serves ln. An end that nobody asked for is sent to failed.
func (s *server) start(srv *http.Server, ln net.Listener) {
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("address %s: %w", ln.Addr(), err)
		}
	}()
}

func (s *server) greet(front, back net.Listener) {
	attrs := []any{"listen", "http://" + front.Addr().String(), "upstream", s.upstream.String()}
	if back != nil {
		attrs = append(attrs, "admin", "http://"+back.Addr().String())
	}
	if s.file.ReportOnly {
		attrs = append(attrs, "report_only", true)
	}
	s.log.Info("seeother is in front of the app", attrs...)
}

// await works until something ends the gateway: a signal (nil), the app, or a
// listener.
func (s *server) await(ctx context.Context) error {
	var appDone <-chan struct{}
	if s.app != nil {
		appDone = s.app.done
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			return err
		case <-appDone:
			return s.app.ended()
		case sig := <-s.signals:
			if s.obey(ctx, sig) {
				return nil
			}
		}
	}
}

// obey acts on a signal and reports whether it ends the gateway.
func (s *server) obey(ctx context.Context, sig os.Signal) (end bool) {
	switch {
	case sig == syscall.SIGHUP && (s.reads || s.apiFlags.tokenFile != ""):
		s.background.Go(func() { s.reload(ctx) })
		return false
	case s.pass(sig):
		return false
	}
	return true // also SIGHUP without a file: the terminal is gone
}

// pass hands a signal on that is for the app alone.
func (s *server) pass(sig os.Signal) bool {
	if sig != syscall.SIGUSR1 && sig != syscall.SIGUSR2 {
		return false
	}
	if s.app != nil {
		s.app.signal(sig.(syscall.Signal)) //nolint:forcetypeassert // os/signal sends these
	}
	return true
}

// reload reads the configuration again. A file with a mistake changes nothing.
// It ends smoke requests that are under way for the one before. The token file of
// the service is read again, too.
func (s *server) reload(ctx context.Context) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.api != nil {
		s.api.reread(ctx)
	}
	if !s.reads {
		return
	}
	s.endRise()
	file, err := s.reread()
	if err != nil {
		s.log.Error("the configuration has a mistake, and nothing is changed", "error", err)
		return
	}
	rises, err := s.site.load(ctx, file)
	if err != nil {
		s.log.Error("the configuration cannot be put in force, and nothing is changed", "error", err)
		return
	}
	if names := needRestart(s.file, file); len(names) > 0 {
		s.log.Warn("these keys changed, and need a restart", "keys", strings.Join(names, ", "))
	}
	s.level.Set(logLevel(file.Log.Level))
	s.site.rules.reload(file, s.config)
	s.log.Info("the configuration is read again")
	s.begin(ctx, rises)
}

// begin waits for the app, and then raises what must pass smoke requests, beside
// the requests and until the next begin.
func (s *server) begin(ctx context.Context, rises bool) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.rising = cancel
	s.mu.Unlock()
	s.background.Go(func() {
		defer cancel()
		if s.site.awaitApp(ctx) && rises {
			s.site.rise(ctx)
		}
	})
}

func (s *server) endRise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rising != nil {
		s.rising()
	}
}

// needRestart names what differs and is only read at the start.
func needRestart(was, is configfile.File) []string {
	was.Once.OncePolicy, is.Once.OncePolicy = configfile.OncePolicy{}, configfile.OncePolicy{}
	was.Operations.Enabled, is.Operations.Enabled = false, false
	was.Forms.FormPolicy, is.Forms.FormPolicy = configfile.FormPolicy{}, configfile.FormPolicy{}
	var names []string
	for _, part := range []struct {
		name    string
		was, is any
	}{
		{"listen", was.Listen, is.Listen},
		{"admin", was.Admin, is.Admin},
		{"upstream", was.Upstream, is.Upstream},
		{"data", was.Data, is.Data},
		{"store", was.Store, is.Store},
		{"log.format", was.Log.Format, is.Log.Format},
		{"trust", was.Trust, is.Trust},
		{"limits", was.Limits, is.Limits},
		{"server_timing", was.ServerTiming, is.ServerTiming},
		{"once", was.Once, is.Once},
		{"forms", was.Forms, is.Forms},
		{"operations", was.Operations, is.Operations},
		{"failover", was.Failover, is.Failover},
	} {
		if !reflect.DeepEqual(part.was, part.is) {
			names = append(names, part.name)
		}
	}
	return names
}

// stop lets what runs finish, for as long as the configuration allows and no
// second signal comes. reason is why the gateway ends, nil when it was asked to.
func (s *server) stop(ctx context.Context, reason error) error {
	s.log.Info("stopping: what is running is finished first", "at_most", time.Duration(s.file.Limits.DrainTimeout).String())
	s.stopped()
	if s.admin != nil {
		s.admin.Stop()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(s.file.Limits.DrainTimeout))
	defer cancel()
	go s.obeyWhileStopping(ctx, cancel)
	err := s.front.Shutdown(ctx)
	if err == nil {
		err = s.site.guard.Drain(ctx)
	}
	if err != nil {
		s.log.Warn("not everything was finished in time; guarded submissions that still run are uncertain now")
		err = s.front.Close()
	}
	return errors.Join(reason, err)
}

// obeyWhileStopping ends the wait for what runs at a second SIGTERM or Ctrl-C,
// and at nothing else.
func (s *server) obeyWhileStopping(ctx context.Context, hurry context.CancelFunc) {
	for {
		select {
		case sig := <-s.signals:
			if sig == syscall.SIGTERM || sig == syscall.SIGINT {
				hurry()
				return
			}
			s.pass(sig)
		case <-ctx.Done():
			return
		}
	}
}

// closeSite ends what is left when nothing is served any more. The app is last:
// it has a time of its own.
func (s *server) closeSite() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var err error
	if s.api != nil {
		err = s.api.stop(ctx)
	}
	err = errors.Join(err, s.site.close(ctx))
	if s.back != nil {
		if late := s.back.Shutdown(ctx); late != nil {
			err = errors.Join(err, s.back.Close()) // a page or a program that still reads
		}
	}
	if s.app != nil {
		s.app.stop()
	}
	s.background.Wait()
	return err
}

func (s *server) hitsFailed(err error) {
	s.log.Warn("hits of the redirect rules cannot be written down, and are kept for the next try", "error", err)
}
