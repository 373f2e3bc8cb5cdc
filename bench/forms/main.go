// Command forms measures what guarding forms costs a person: how long a form's
// submission takes through a gateway with --protect, and through one without, when
// the app answers in 5 ms.
//
//	go run ./bench/forms [-rounds 5] [-duration 5s] [-think 50ms]
//
// Each client gets the form, thinks for a moment and submits it; the time from
// there to the answer counts. With --protect the submission is recorded in the
// journal, and the record is on disk before the app begins and before the client
// hears of the answer. Rounds are interleaved. It listens on loopback, and stops
// what it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

type options struct {
	rounds          int
	duration, think time.Duration
	out             string
}

// measurement is one round of one gateway with so many clients.
type measurement struct {
	Gateway string  `json:"gateway"`
	Answer  string  `json:"answer"` // "redirect" or "page"
	Clients int     `json:"clients"`
	Round   int     `json:"round"`
	Count   int     `json:"count"`
	Median  float64 `json:"medianMs"`
	P99     float64 `json:"p99Ms"`
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long one measurement takes")
	flag.DurationVar(&o.think, "think", 50*time.Millisecond, "how long a client looks at the form before it submits it")
	flag.StringVar(&o.out, "out", "bench/out/forms.json", "`file` for the single measurements")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "forms:", err)
		os.Exit(1)
	}
}

const page = `<!doctype html><title>Form</title><form method="post" action="%s"><input name="n"><button>Buy</button></form>`

// app answers a submission after 5 ms, with a redirect or with a page.
func app() (addr string, stop func(), err error) {
	mux := http.NewServeMux()
	for _, answer := range []string{"redirect", "page"} {
		mux.HandleFunc("GET /"+answer, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, page, "/"+answer)
		})
		mux.HandleFunc("POST /"+answer, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(5 * time.Millisecond)
			if answer == "redirect" {
				http.Redirect(w, r, "/done", http.StatusSeeOther)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, strings.Repeat("<p>Thank you for your order.</p>\n", 100))
		})
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // ends with ErrServerClosed
	return ln.Addr().String(), func() { _ = srv.Close() }, nil
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "seeother-forms-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	upstream, stop, err := app()
	if err != nil {
		return err
	}
	defer stop()
	program, err := rig.Build(ctx, dir, "seeother", "./cmd/seeother")
	if err != nil {
		return err
	}
	gateways := map[string]string{}
	for name, flags := range map[string][]string{"without": nil, "with": {"--protect"}} {
		addr, err := rig.FreeAddr()
		if err != nil {
			return err
		}
		args := append([]string{"run", upstream, "--listen", addr, "--admin", "off", "--data", filepath.Join(dir, name)}, flags...)
		s, err := rig.Start(name, addr, dir, exec.CommandContext(ctx, program, args...))
		if err != nil {
			return err
		}
		defer s.Stop()
		gateways[name] = addr
	}
	var all []measurement
	for round := range o.rounds {
		for _, clients := range []int{1, 64} {
			for _, answer := range []string{"redirect", "page"} {
				for _, name := range []string{"without", "with"} {
					m, err := measure(ctx, "http://"+gateways[name], answer, clients, o)
					if err != nil {
						return fmt.Errorf("%s, %d clients: %w", name, clients, err)
					}
					m.Gateway, m.Round = name, round
					all = append(all, m)
					fmt.Fprintf(os.Stderr, "round %d: %2d clients, %-8s %-7s %6d submissions, median %.2f ms, p99 %.2f ms\n", round+1, clients, answer, name, m.Count, m.Median, m.P99)
				}
			}
		}
	}
	report(all, o)
	return rig.WriteJSON(o.out, all)
}

func report(all []measurement, o options) {
	fmt.Printf("Medians of %d rounds of %v; each client thinks for %v.\n\n| clients | the app answers | without, median ms | with --protect | ratio | p99 without | p99 with |\n|---:|---|---:|---:|---:|---:|---:|\n", o.rounds, o.duration, o.think)
	for _, clients := range []int{1, 64} {
		for _, answer := range []string{"redirect", "page"} {
			values := map[string][2][]float64{}
			for _, m := range all {
				if m.Clients == clients && m.Answer == answer {
					v := values[m.Gateway]
					values[m.Gateway] = [2][]float64{append(v[0], m.Median), append(v[1], m.P99)}
				}
			}
			without, with := values["without"], values["with"]
			fmt.Printf("| %d | with a %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", clients, answer, rig.Middle(without[0]), rig.Middle(with[0]), rig.Ratio(with[0], without[0]), rig.Middle(without[1]), rig.Middle(with[1]))
		}
	}
}

func measure(ctx context.Context, base, answer string, clients int, o options) (measurement, error) {
	end := time.Now().Add(o.duration)
	took, errs := make([][]time.Duration, clients), make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { took[i], errs[i] = client(ctx, base, answer, end, o.think) })
	}
	all.Wait()
	times := slices.Concat(took...)
	if err := errors.Join(errs...); err != nil || len(times) == 0 {
		return measurement{}, errors.Join(err, ctx.Err())
	}
	slices.Sort(times)
	ms := func(share float64) float64 {
		return float64(times[min(int(share*float64(len(times))), len(times)-1)].Microseconds()) / 1000
	}
	return measurement{Answer: answer, Clients: clients, Count: len(times), Median: ms(0.5), P99: ms(0.99)}, nil
}

var action = regexp.MustCompile(`action="([^"]*)"`)

// client gets the form and submits it, over and over.
func client(ctx context.Context, base, answer string, end time.Time, think time.Duration) (took []time.Duration, err error) {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for time.Now().Before(end) && ctx.Err() == nil {
		body, _, err := send(ctx, c, http.MethodGet, base+"/"+answer)
		if err != nil {
			return nil, err
		}
		to := action.FindStringSubmatch(body)
		if to == nil {
			return nil, fmt.Errorf("no form in %q", body)
		}
		time.Sleep(rand.N(2 * think)) // people do not think in step
		begun := time.Now()
		if _, _, err := send(ctx, c, http.MethodPost, base+strings.ReplaceAll(to[1], "&amp;", "&")); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

func send(ctx context.Context, c *http.Client, method, target string) (body string, status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(strings.Repeat("n=1", min(1, len(method)-3))))
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.Do(r)
	if err != nil {
		return "", 0, err
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: status %d", method, target, res.StatusCode)
	}
	return string(text), res.StatusCode, err
}
