package clients

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/client"
)

func dial(t *testing.T, url, token string) *client.Client {
	t.Helper()
	c, err := client.New(url, token, client.Config{Log: slog.New(slog.DiscardHandler), Attempts: 3})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is work that is done at once.
func answer(value any) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return value, nil }
}

// never is work that must not run.
func never(t *testing.T) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		t.Error("it ran")
		return nil, nil
	}
}

var errBoom = errors.New("boom")

func TestGo(t *testing.T) {
	t.Parallel()
	at := serve(t)
	c := dial(t, at.url, token)

	t.Run("the first runs and a duplicate gets its result", func(t *testing.T) {
		t.Parallel()
		req := client.Request{Key: "duplicate", Input: map[string]any{"b": 1, "a": 2}}
		first, err := c.Do(t.Context(), req, answer(map[string]int{"receipt": 7}))
		if err != nil || !first.Ran || first.Replayed || first.Record == "" {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := c.Do(t.Context(), req, never(t))
		var got struct{ Receipt int }
		if err != nil || !again.Replayed || again.Ran || again.Decode(&got) != nil || got.Receipt != 7 || again.Record != first.Record || again.First.IsZero() {
			t.Errorf("%+v, %v", again, err)
		}
		found, err := c.Get(t.Context(), first.Record)
		if err != nil || found.State != "completed" || !found.Kept || found.Generation != 1 {
			t.Errorf("%+v, %v", found, err)
		}
		page, err := c.List(t.Context(), client.Query{Key: "duplicate", State: "completed"})
		if err != nil || len(page.Records) != 1 || page.Records[0].ID != first.Record {
			t.Errorf("%+v, %v", page, err)
		}
	})

	t.Run("a result of nothing is one", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			if out, err := c.Do(t.Context(), client.Request{Key: "nothing"}, answer(nil)); err != nil || string(out.Result) != "null" {
				t.Errorf("%+v, %v", out, err)
			}
		}
	})

	t.Run("twenty callers at once run once", func(t *testing.T) {
		t.Parallel()
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				out, err := c.Do(t.Context(), client.Request{Key: "twenty", Wait: patience}, func(context.Context) (any, error) {
					return runs.Add(1), nil
				})
				if err != nil || string(out.Result) != "1" {
					t.Errorf("%+v, %v", out, err)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})

	t.Run("who does not wait long enough is told that it is in flight", func(t *testing.T) {
		t.Parallel()
		_, err := c.Do(t.Context(), client.Request{Key: "in flight"}, func(ctx context.Context) (any, error) {
			_, err := c.Do(ctx, client.Request{Key: "in flight", Wait: -1}, never(t))
			if !errors.Is(err, client.ErrInFlight) {
				t.Errorf("without a wait: %v", err)
			}
			begun := time.Now()
			_, err = c.Do(ctx, client.Request{Key: "in flight", Wait: time.Second}, never(t))
			if took := time.Since(begun); !errors.Is(err, client.ErrInFlight) || took < time.Second {
				t.Errorf("with a wait of a second: %v after %v", err, took)
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	})

	t.Run("a process that is killed leaves doubt", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SEEOTHER_TEST_CHILD=1", "SEEOTHER_TEST_URL="+at.url)
		kill(t, cmd)
		_, err := c.Do(t.Context(), client.Request{Key: "killed", Wait: patience}, never(t))
		if !errors.Is(err, client.ErrUncertain) {
			t.Error(err)
		}
	})

	t.Run("a lease is extended while the work runs", func(t *testing.T) {
		t.Parallel()
		const lease = 3 * time.Second
		out, err := c.Do(t.Context(), client.Request{Key: "long", Lease: lease}, func(ctx context.Context) (any, error) {
			time.Sleep(lease + lease/4)
			l, _ := client.LeaseOf(ctx)
			r, err := c.Get(ctx, l.ID)
			if err != nil || r.State != "started" || !r.LeaseEnds.After(l.Ends) || ctx.Err() != nil {
				t.Errorf("after its first end: %+v, %v, %v", r, err, ctx.Err())
			}
			return "done", nil
		})
		if err != nil || string(out.Result) != `"done"` {
			t.Errorf("%+v, %v", out, err)
		}
	})

	t.Run("work whose lease was settled by somebody else is told", func(t *testing.T) {
		t.Parallel()
		out, err := c.Do(t.Context(), client.Request{Key: "taken", Lease: 3 * time.Second}, func(ctx context.Context) (any, error) {
			l, _ := client.LeaseOf(ctx)
			if err := c.Release(ctx, l, "by the test"); err != nil {
				t.Error(err)
			}
			return "too late", awaitLost(ctx, t)
		})
		if !out.Ran || !errors.Is(err, client.ErrNotRecorded) || !errors.Is(err, client.ErrLeaseLost) || string(out.Result) != `"too late"` {
			t.Errorf("%+v, %v", out, err)
		}
	})

	t.Run("work whose lease cannot be extended is told, and completes late", func(t *testing.T) {
		t.Parallel()
		for n := 0; ; n++ {
			req := client.Request{Key: fmt.Sprint("deaf ", n), Lease: 2 * time.Second}
			out, err := dial(t, at.deaf, token).Do(t.Context(), req, func(ctx context.Context) (any, error) {
				return "late", awaitLost(ctx, t)
			})
			if !out.Ran && errors.Is(err, client.ErrUnavailable) && n < 10 {
				continue // a busy machine: it had to be extended before it began
			}
			if err != nil {
				t.Errorf("%+v, %v", out, err)
			}
			again, err := c.Do(t.Context(), req, never(t))
			if err != nil || string(again.Result) != `"late"` {
				t.Errorf("%+v, %v", again, err)
			}
			return
		}
	})

	t.Run("an error that proves that nothing was done releases", func(t *testing.T) {
		t.Parallel()
		out, err := c.Do(t.Context(), client.Request{Key: "released"}, func(context.Context) (any, error) {
			return nil, fmt.Errorf("pay: %w", client.NotApplied(errBoom))
		})
		if !out.Ran || !errors.Is(err, errBoom) || errors.Is(err, client.ErrUncertain) {
			t.Errorf("%+v, %v", out, err)
		}
		out, err = c.Do(t.Context(), client.Request{Key: "released"}, answer(2))
		if err != nil || !out.Ran {
			t.Errorf("%+v, %v", out, err)
		}
	})

	t.Run("the proof of an inner run is none for the outer one", func(t *testing.T) {
		t.Parallel()
		_, err := c.Do(t.Context(), client.Request{Key: "outer"}, func(ctx context.Context) (any, error) {
			_, err := c.Do(ctx, client.Request{Key: "inner"}, func(context.Context) (any, error) { return nil, client.NotApplied(errBoom) })
			return nil, fmt.Errorf("inner: %w", err)
		})
		if !errors.Is(err, errBoom) || !errors.Is(err, client.ErrUncertain) {
			t.Error(err)
		}
	})

	t.Run("any other error leaves doubt", func(t *testing.T) {
		t.Parallel()
		_, err := c.Do(t.Context(), client.Request{Key: "error"}, func(context.Context) (any, error) { return nil, errBoom })
		if !errors.Is(err, errBoom) || !errors.Is(err, client.ErrUncertain) {
			t.Error(err)
		}
		wantDoubt(t, c, "error", "boom")
	})

	t.Run("a panic leaves doubt and goes on", func(t *testing.T) {
		t.Parallel()
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic is gone")
				}
			}()
			_, _ = c.Do(t.Context(), client.Request{Key: "panic"}, func(context.Context) (any, error) { panic("boom") })
		}()
		wantDoubt(t, c, "panic", "without a result")
	})

	t.Run("a result that is no JSON leaves doubt", func(t *testing.T) {
		t.Parallel()
		_, err := c.Do(t.Context(), client.Request{Key: "no JSON"}, answer(func() {}))
		if !errors.Is(err, client.ErrNotRecorded) {
			t.Error(err)
		}
		wantDoubt(t, c, "no JSON", "could not be recorded")
	})

	t.Run("a large result is not kept, and a larger one is in doubt", func(t *testing.T) {
		t.Parallel()
		if _, err := c.Do(t.Context(), client.Request{Key: "large"}, answer(strings.Repeat("x", 1<<20))); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), client.Request{Key: "large"}, never(t)); !errors.Is(err, client.ErrNotKept) {
			t.Error(err)
		}
		_, err := c.Do(t.Context(), client.Request{Key: "larger"}, answer(strings.Repeat("x", 2<<20)))
		if !errors.Is(err, client.ErrNotRecorded) || !errors.Is(err, client.ErrTooLarge) {
			t.Error(err)
		}
		wantDoubt(t, c, "larger", "could not be recorded")
	})

	t.Run("another input under the same key is a mismatch", func(t *testing.T) {
		t.Parallel()
		if _, err := c.Do(t.Context(), client.Request{Key: "mismatch", Input: 1}, answer(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), client.Request{Key: "mismatch", Input: 2}, never(t)); !errors.Is(err, client.ErrMismatch) {
			t.Error(err)
		}
	})

	t.Run("a service that is down lets nothing run", func(t *testing.T) {
		t.Parallel()
		if _, err := dial(t, at.down, token).Do(t.Context(), client.Request{Key: "down"}, never(t)); !errors.Is(err, client.ErrUnavailable) {
			t.Error(err)
		}
	})

	t.Run("who fails open runs all the same, and says so", func(t *testing.T) {
		t.Parallel()
		var log strings.Builder
		down, err := client.New(at.down, token, client.Config{Attempts: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		out, err := down.Do(t.Context(), client.Request{Key: "open", FailOpen: true}, answer(1))
		if err != nil || !out.Bypassed || !out.Ran || string(out.Result) != "1" || !strings.Contains(log.String(), "unguarded") {
			t.Errorf("%+v, %v, log %q", out, err, log.String())
		}
	})

	t.Run("lost answers are asked for again", func(t *testing.T) {
		t.Parallel()
		lossy := dial(t, at.lossy, token)
		var runs int
		for range 2 {
			out, err := lossy.Do(t.Context(), client.Request{Key: "lossy"}, func(context.Context) (any, error) { runs++; return runs, nil })
			if err != nil || string(out.Result) != "1" {
				t.Errorf("%+v, %v", out, err)
			}
		}
		_, err := lossy.Do(t.Context(), client.Request{Key: "lossy release"}, func(context.Context) (any, error) { return nil, client.NotApplied(errBoom) })
		if !errors.Is(err, errBoom) || errors.Is(err, client.ErrLeaseLost) {
			t.Error(err)
		}
		_, err = lossy.Do(t.Context(), client.Request{Key: "lossy doubt"}, func(context.Context) (any, error) { return nil, errBoom })
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
		wantDoubt(t, c, "lossy doubt", "boom")
	})

	t.Run("a cap, a list and a switch deny", func(t *testing.T) {
		t.Parallel()
		usd := func(n int64) []client.Money { return []client.Money{{Currency: "USD", Micros: n}} }
		_, err := c.Do(t.Context(), client.Request{Key: "cheap", Agent: "bot", Spend: usd(90)}, func(ctx context.Context) (any, error) {
			client.Spent(ctx, usd(40)...)
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Do(t.Context(), client.Request{Key: "dear", Agent: "bot", Spend: usd(61)}, never(t)); !errors.Is(err, client.ErrDenied) {
			t.Error(err)
		}
		if _, err = c.Do(t.Context(), client.Request{Key: "fits", Agent: "bot", Spend: usd(60)}, answer(nil)); err != nil {
			t.Error(err)
		}
		if _, err = c.Do(t.Context(), client.Request{Key: "rm", Agent: "bot", Tool: "rm"}, never(t)); !errors.Is(err, client.ErrDenied) {
			t.Error(err)
		}
	})

	t.Run("a wrong token is refused, also to who fails open", func(t *testing.T) {
		t.Parallel()
		const wrong = "wrong-token-0123456789"
		_, err := dial(t, at.url, wrong).Do(t.Context(), client.Request{Key: "token", FailOpen: true}, never(t))
		if !errors.Is(err, client.ErrUnauthorized) || strings.Contains(err.Error(), wrong) {
			t.Error(err)
		}
	})

	t.Run("the steps of Do can be taken one by one", func(t *testing.T) {
		t.Parallel()
		a, err := c.Check(t.Context(), client.Request{Key: "steps"})
		if err != nil || a.Status != client.Execute {
			t.Fatalf("%+v, %v", a, err)
		}
		l, err := c.Extend(t.Context(), a.Lease, time.Hour)
		if err != nil || !l.Ends.After(a.Lease.Ends) {
			t.Errorf("%+v, %v", l, err)
		}
		if err := c.Doubt(t.Context(), l, "who knows"); err != nil {
			t.Error(err)
		}
		if err := c.Complete(t.Context(), l, "known"); err != nil { // by the same lease, late
			t.Error(err)
		}
		if err := c.Release(t.Context(), l, "too late"); !errors.Is(err, client.ErrLeaseLost) {
			t.Error(err)
		}
		if _, err := c.Get(t.Context(), "none"); !errors.Is(err, client.ErrNotFound) {
			t.Error(err)
		}
	})
}

// awaitLost waits until the lease of a running function is lost.
func awaitLost(ctx context.Context, t *testing.T) error {
	t.Helper()
	select {
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), client.ErrLeaseLost) {
			t.Errorf("cause: %v", context.Cause(ctx))
		}
	case <-time.After(patience):
		t.Error("nobody said that the lease is lost")
	}
	return nil
}

// wantDoubt fails unless a key is uncertain, for a reason.
func wantDoubt(t *testing.T, c *client.Client, key, reason string) {
	t.Helper()
	_, err := c.Do(t.Context(), client.Request{Key: key}, never(t))
	if !errors.Is(err, client.ErrUncertain) || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: %v", key, err)
	}
}

// child begins to do something, and never ends.
func child() {
	c, err := client.New(os.Getenv("SEEOTHER_TEST_URL"), token, client.Config{})
	if err == nil {
		_, err = c.Do(context.Background(), client.Request{Key: "killed", Lease: 2 * time.Second}, func(context.Context) (any, error) {
			fmt.Println("running")
			select {}
		})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// kill starts a command, and kills it when it says that its work runs.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if strings.TrimSpace(line) != "running" {
		t.Fatalf("the child said %q, %v", line, err)
	}
}
