// Command forms measures what guarding forms costs a person: how long a form's
// submission takes through a gateway with --protect, and through one without, when
// the app answers in 5 ms.
//
//	go run ./bench/forms [-rounds 5] [-duration 5s] [-think 500ms]
//
// Each client gets the form, thinks for a moment and submits it; the time from
// there to the answer counts. With --protect the submission is recorded in the
// journal, and the record is on disk before the app begins and before the client
// hears of the answer. Many clients are measured at two paces: that of people, and
// ten times as fast. Of a page that the app streams, the time to its first byte
// counts. Rounds are interleaved. It listens on loopback, and stops
// what it started.
package main

import (
	"bufio"
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
	"runtime"
	"slices"
	"strconv"
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

// load is what is measured: so many clients, and what the app answers them.
type load struct {
	Answer  string        `json:"answer"` // "redirect" or "page"; "stream": a page that is asked for
	Clients int           `json:"clients"`
	Think   time.Duration `json:"think"`
}

func (o options) loads() []load {
	var all []load
	for _, think := range []time.Duration{o.think, o.think / 10} {
		for _, clients := range []int{1, 64} {
			for _, answer := range []string{"redirect", "page"} {
				all = append(all, load{answer, clients, think})
			}
		}
	}
	all = slices.DeleteFunc(all, func(l load) bool { return l.Clients == 1 && l.Think == o.think }) // few, and no other than the faster ones
	return append(all, load{"stream", 1, o.think / 10})
}

// measurement is one round of one gateway with a load.
type measurement struct {
	load

	Gateway string  `json:"gateway"`
	Round   int     `json:"round"`
	Count   int     `json:"count"`
	Median  float64 `json:"medianMs"`
	P99     float64 `json:"p99Ms"`
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long one measurement takes")
	flag.DurationVar(&o.think, "think", 500*time.Millisecond, "how long a client looks at the form before it submits it, in the middle; many clients are measured at a tenth of it, too")
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
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Form</title>"+strings.Repeat("<p>What there is to buy.</p>\n", 50))
		_ = http.NewResponseController(w).Flush() // it can
		time.Sleep(5 * time.Millisecond)
		_, _ = fmt.Fprintf(w, page, "/page")
	})
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
		gateway := exec.CommandContext(ctx, program, args...)
		// As it runs by itself: with one core, Go lets nothing run while a file is synced.
		gateway.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(runtime.NumCPU()))
		s, err := rig.Start(name, addr, dir, gateway)
		if err != nil {
			return err
		}
		defer s.Stop()
		gateways[name] = addr
	}
	var all []measurement
	for round := range o.rounds {
		for _, l := range o.loads() {
			for _, name := range []string{"without", "with"} {
				m, err := measure(ctx, "http://"+gateways[name], l, o.duration)
				if err != nil {
					return fmt.Errorf("%s, %d clients: %w", name, l.Clients, err)
				}
				m.Gateway, m.Round = name, round
				all = append(all, m)
				fmt.Fprintf(os.Stderr, "round %d: %2d clients, thinking %v, %-8s %-7s %6d times, median %.2f ms, p99 %.2f ms\n", round+1, l.Clients, l.Think, l.Answer, name, m.Count, m.Median, m.P99)
			}
		}
	}
	report(all, o)
	return rig.WriteJSON(o.out, all)
}

func report(all []measurement, o options) {
	fmt.Printf("Medians of %d rounds of %v.\n\n| clients | each thinks | submissions a second | the app answers | without, median ms | with --protect | ratio | p99 without | p99 with |\n|---:|---:|---:|---|---:|---:|---:|---:|---:|\n", o.rounds, o.duration)
	for _, l := range o.loads() {
		values := map[string][3][]float64{}
		for _, m := range all {
			if m.load == l {
				v := values[m.Gateway]
				values[m.Gateway] = [3][]float64{append(v[0], m.Median), append(v[1], m.P99), append(v[2], float64(m.Count)/o.duration.Seconds())}
			}
		}
		without, with := values["without"], values["with"]
		answer := "with a " + l.Answer
		if l.Answer == "stream" {
			answer = "a page in parts: its first byte"
		}
		fmt.Printf("| %d | %v | %.0f | %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", l.Clients, l.Think, rig.Middle(with[2]), answer,
			rig.Middle(without[0]), rig.Middle(with[0]), rig.Ratio(with[0], without[0]), rig.Middle(without[1]), rig.Middle(with[1]))
	}
}

func measure(ctx context.Context, base string, l load, duration time.Duration) (measurement, error) {
	end := time.Now().Add(duration)
	took, errs := make([][]time.Duration, l.Clients), make([]error, l.Clients)
	var all sync.WaitGroup
	for i := range l.Clients {
		all.Go(func() { took[i], errs[i] = client(ctx, base, l, end) })
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
	return measurement{load: l, Count: len(times), Median: ms(0.5), P99: ms(0.99)}, nil
}

var action = regexp.MustCompile(`action="([^"]*)"`)

// client gets the form and submits it, over and over; or asks for a page.
func client(ctx context.Context, base string, l load, end time.Time) (took []time.Duration, err error) {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for time.Now().Before(end) && ctx.Err() == nil {
		body, first, err := send(ctx, c, http.MethodGet, base+"/"+l.Answer)
		if err != nil {
			return nil, err
		}
		to := action.FindStringSubmatch(body)
		if to == nil {
			return nil, fmt.Errorf("no form in %q", body)
		}
		time.Sleep(rand.N(2 * l.Think)) // people do not think in step
		if l.Answer == "stream" {
			took = append(took, first)
			continue
		}
		begun := time.Now()
		if _, _, err := send(ctx, c, http.MethodPost, base+strings.ReplaceAll(to[1], "&amp;", "&")); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// send is the answer's body, and the time to the first byte of that.
func send(ctx context.Context, c *http.Client, method, target string) (body string, first time.Duration, err error) {
	var form io.Reader
	if method == http.MethodPost {
		form = strings.NewReader("n=1")
	}
	r, err := http.NewRequestWithContext(ctx, method, target, form)
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	begun := time.Now()
	res, err := c.Do(r)
	if err != nil {
		return "", 0, err
	}
	in := bufio.NewReader(res.Body)
	_, _ = in.Peek(1) // what is wrong, ReadAll will say
	first = time.Since(begun)
	text, err := io.ReadAll(in)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: status %d", method, target, res.StatusCode)
	}
	return string(text), first, err
}
