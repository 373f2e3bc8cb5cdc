package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/demo"
	"github.com/seeother/seeother/store/open"
)

func newDemo() *cobra.Command {
	var opts demo.Options
	verb := &cobra.Command{
		Use:   "demo",
		Short: "Run a small shop with and without seeother, and compare",
		Long: `Run a small shop twice: as it is, with the faults that real apps have, and behind
seeother. A page shows both side by side, live, while you try what goes wrong.
It listens on loopback, keeps everything in memory, and leaves nothing behind.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			surviveBrokenPipes()
			lines := newLogWriter(cmd.ErrOrStderr(), "text")
			defer lines.close()
			opts.Out = cmd.OutOrStdout()
			opts.Gateway = demoGateway(newLogger(lines, "text", slog.LevelInfo, colored(cmd.ErrOrStderr())))
			err := demo.Run(ctx, opts)
			if errors.Is(err, syscall.EADDRINUSE) {
				return &hinted{err, "take another address, or port 0 for a free one"}
			}
			return err
		},
	}
	verb.Flags().StringVar(&opts.GatewayAddr, "listen", "", "where the gateway listens, `host:port` (default "+demo.DefaultGatewayAddr+", or a free port)")
	verb.Flags().StringVar(&opts.ShopAddr, "shop", "", "where the shop listens without it, `host:port` (default "+demo.DefaultShopAddr+", or a free port)")
	return verb
}

// demoGateway makes the same gateway as "seeother run --protect", on a store in
// memory.
func demoGateway(log *slog.Logger) func(context.Context, *url.URL, seeother.Observer) (*demo.Gateway, error) {
	return func(ctx context.Context, upstream *url.URL, observe seeother.Observer) (*demo.Gateway, error) {
		st, err := open.Open(ctx, "memory:")
		if err != nil {
			return nil, err
		}
		logged := logDecisions(log, "text")
		both := func(ctx context.Context, d seeother.Decision) {
			logged(ctx, d)
			observe(ctx, d)
		}
		file := configfile.Default()
		file.Forms.Stage = seeother.Enforce
		s, err := newSite(ctx, file, upstream, st, log, both)
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		if _, err := s.load(ctx, file); err != nil {
			return nil, errors.Join(err, s.close(ctx), st.Close())
		}
		back, addr, err := demoAdmin(ctx, s, upstream)
		if err != nil {
			return nil, errors.Join(err, s.close(ctx), st.Close())
		}
		return &demo.Gateway{
			Handler: s.gateway, Admin: addr,
			Stop: func(ctx context.Context) error {
				return errors.Join(s.close(ctx), back.Shutdown(ctx), st.Close())
			},
		}, nil
	}
}

// demoAdmin serves the admin side on its usual address, or on a free port.
func demoAdmin(ctx context.Context, s *site, upstream *url.URL) (*http.Server, string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", configfile.Default().Admin.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, "", fmt.Errorf("admin: %w", err)
	}
	back := admin.NewServer(s.adminHandler(admin.Config{Upstream: upstream.String()}))
	go func() { _ = back.Serve(ln) }() // ends with ErrServerClosed
	return back, "http://" + ln.Addr().String(), nil
}
