// Package demo is the shop behind `seeother demo`: a small web app with the
// faults that real apps have, run twice, once as it is and once behind a
// gateway, and a page that shows both side by side while somebody plays with
// them.
//
// The shop is not aware of the gateway, and the gateway is not aware of the
// demo: the package is given a function that makes an ordinary gateway.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/seeother/seeother"
)

// Defaults of Options, and the limits of the demo.
const (
	DefaultGatewayAddr  = "127.0.0.1:8303"
	DefaultShopAddr     = "127.0.0.1:8305"
	DefaultCheckoutTime = 2 * time.Second
	DefaultRestartTime  = time.Second

	stopTime = 10 * time.Second // for requests that are running when the demo ends
)

// Gateway is a running gateway in front of the shop.
type Gateway struct {
	// Handler answers what comes to the gateway's address. The demo listens
	// and serves; the handler does everything else. Required.
	Handler http.Handler
	// Stop ends the gateway after the last request; nil: nothing to end.
	Stop func(context.Context) error
	// Admin is the URL of the gateway's admin API, for the hints that are
	// printed; empty: none runs.
	Admin string
}

// Options says how to run the demo.
type Options struct {
	// Gateway makes a gateway in front of upstream, with the default policies and
	// with forms protected, and tells observe of each decision. It is called once, while upstream is
	// already listening. Required.
	Gateway func(ctx context.Context, upstream *url.URL, observe seeother.Observer) (*Gateway, error)
	// GatewayAddr and ShopAddr are where to listen (host:port). When one is
	// empty the default is taken, or a free port where that is in use; when
	// one is set and in use, Run fails.
	GatewayAddr string
	ShopAddr    string
	// Out gets the addresses and what to try; nil: nothing is printed.
	Out io.Writer
	// CheckoutTime is how long a checkout takes, twice as long as a form does, and
	// RestartTime how long the shop is gone after a crash; 0: the defaults.
	CheckoutTime time.Duration
	RestartTime  time.Duration
}

func (o Options) withDefaults() Options {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.CheckoutTime <= 0 {
		o.CheckoutTime = DefaultCheckoutTime
	}
	if o.RestartTime <= 0 {
		o.RestartTime = DefaultRestartTime
	}
	return o
}

// Run runs the demo until ctx is done, and then lets running requests finish.
// It returns nil when it ended because ctx did.
func Run(ctx context.Context, opts Options) error {
	if opts.Gateway == nil {
		return errors.New("demo: no gateway given")
	}
	d := &demo{Options: opts.withDefaults()}
	err := d.start(ctx)
	if err == nil {
		d.greet()
		select {
		case <-ctx.Done():
		case err = <-d.failed:
		}
	}
	return errors.Join(err, d.stop())
}

// demo is what Run runs: two shops, the gateway before the second of them, and
// the board that watches both.
type demo struct {
	Options
	board   *board
	without *server // the shop as it is
	behind  *server // the same shop behind the gateway
	front   *server // serves the gateway
	gateway *Gateway
	failed  chan error
}

func (d *demo) start(ctx context.Context) error {
	d.failed = make(chan error, 3)
	d.board = newBoard()
	front, err := listen(ctx, d.GatewayAddr, DefaultGatewayAddr)
	if err != nil {
		return fmt.Errorf("demo: gateway: %w", err)
	}
	direct, err := listen(ctx, d.ShopAddr, DefaultShopAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("demo: shop: %w", err), front.Close())
	}
	hidden, err := listen(ctx, "127.0.0.1:0", "")
	if err != nil {
		return errors.Join(fmt.Errorf("demo: shop behind the gateway: %w", err), front.Close(), direct.Close())
	}
	gatewayURL, shopURL := "http://"+front.Addr().String(), "http://"+direct.Addr().String()
	d.without = d.startShop(&d.board.without, direct, aloneHandler(gatewayURL), onAnyName(gatewayURL), true)
	d.behind = d.startShop(&d.board.with, hidden, pageHandler(d.board, shopURL), "'self'", false)
	d.gateway, err = d.Gateway(ctx, &url.URL{Scheme: "http", Host: hidden.Addr().String()}, d.board.observe)
	if err != nil {
		return errors.Join(fmt.Errorf("demo: gateway: %w", err), front.Close())
	}
	d.front = newServer(d.board.countSubmissions(&d.board.with, d.gateway.Handler), 0, nil)
	d.front.start(front, d.failed)
	return nil
}

// startShop starts one of the two shops, for a page at framedBy to show.
// Submissions are counted where a client hands them over: at the shop, or before
// the gateway.
func (d *demo) startShop(s *side, ln net.Listener, home http.Handler, framedBy string, clientsComeHere bool) *server {
	sh := &shop{checkoutTime: d.CheckoutTime, framedBy: framedBy, ledger: s, board: d.board}
	handler := sh.handler(home)
	if clientsComeHere {
		handler = d.board.countSubmissions(s, handler)
	}
	srv := newServer(allowLoopbackPages(handler), d.RestartTime, func(up bool) {
		d.board.change(func() { s.Up = up })
	})
	sh.crash = srv.crash
	srv.start(ln, d.failed)
	return srv
}

// stop ends everything in the order in which requests come in, so that each
// part can still finish what the one before it handed over.
func (d *demo) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	d.board.close()
	err := d.front.stop(ctx)
	if d.gateway != nil && d.gateway.Stop != nil {
		err = errors.Join(err, d.gateway.Stop(ctx))
	}
	return errors.Join(err, d.without.stop(ctx), d.behind.stop(ctx))
}

// listen takes addr; or, when that is empty, fallback, and where that is in
// use a free port beside it.
func listen(ctx context.Context, addr, fallback string) (net.Listener, error) {
	var cfg net.ListenConfig
	if addr != "" {
		return cfg.Listen(ctx, "tcp", addr)
	}
	ln, err := cfg.Listen(ctx, "tcp", fallback)
	if errors.Is(err, syscall.EADDRINUSE) {
		return cfg.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return ln, err
}

// greet prints where the demo is and what to try.
func (d *demo) greet() {
	gateway, shop := "http://"+d.front.addr(), "http://"+d.without.addr()
	text := strings.NewReplacer("{gateway}", gateway, "{shop}", shop).Replace(greeting)
	if d.gateway.Admin != "" {
		text += "\n  See what is in doubt, for operators:\n" +
			"    " + d.gateway.Admin + "/\n"
	}
	_, _ = io.WriteString(d.Out, text+"\nStop with Ctrl-C.\n") // nobody reads it, if anything
}

const greeting = `A small shop is running twice: as it is, and behind seeother.

  Open this page     {gateway}/
  Through seeother   {gateway}
  The shop itself    {shop}

The page sends forms twice: by a double click, a refresh, Back, two tabs, a lost connection. By hand:
  {gateway}/shop and {shop}/shop

Or try it from another terminal. Each command does the same to both.

  Submit one checkout three times at once, with one key:
    KEY=cart-$(date +%s); for site in {shop} {gateway}; do for i in 1 2 3; do curl -s -o /dev/null -w "$site  %{http_code} %{redirect_url}\n" -X POST -H "Idempotency-Key: $KEY" $site/checkout & done; wait; done

  Delete one user. After 302, a browser sends DELETE /users, which deletes them all; after 303, GET /users:
    for site in {shop} {gateway}; do curl -s -o /dev/null -w "$site  %{http_code} %{redirect_url}\n" -X DELETE $site/users/123; done

  Crash in the middle of a checkout, after the order was made, then try again:
    KEY=crash-$(date +%s); for site in {shop} {gateway}; do curl -s -X POST $site/crash; for i in 1 2; do curl -sS -w "$site  %{http_code} %{redirect_url}\n" -X POST -H "Idempotency-Key: $KEY" $site/checkout; sleep 2; done; done
`
