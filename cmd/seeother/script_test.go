package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seeother/seeother/internal/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"seeother": main,
		"shop":     shop,
		"request":  request,
		"liar":     liar,
	})
}

// TestScripts runs each verb as a user does, with the real main.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("GORACE", "atexit_sleep_ms=10")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "redis" {
				return false, fmt.Errorf("condition %q: want redis", cond)
			}
			_, err := exec.LookPath("redis-server")
			return err == nil || os.Getenv("SEEOTHER_TEST_ALL") != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"free":   free,
			"redis":  startRedis,
			"await":  await,
			"child":  child,
			"logged": logged,
			"signal": sendSignal,
		},
	})
}

// exits N COMMAND...: the command ends with exit code N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// free NAME...: each variable becomes a loopback address that nobody uses.
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: free NAME...")
	}
	for _, name := range args {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, ln.Addr().String())
		ts.Check(ln.Close())
	}
}

// redis NAME: the variable becomes the URL of a server that is there until the end.
func startRedis(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: redis NAME")
	}
	r, err := servertest.StartRedis(ts.MkAbs("."))
	ts.Check(err)
	ts.Defer(r.Stop)
	ts.Setenv(args[0], "redis://"+r.Addr())
}

const patience = 30 * time.Second

// await URL [STATUS]: until the URL answers with the status (200). With !, until
// nothing answers.
func await(ts *testscript.TestScript, neg bool, args []string) {
	want := http.StatusOK
	if len(args) > 1 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	last := "nothing"
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := client.Get(args[0])
		if err != nil {
			if last = err.Error(); neg {
				return
			}
			continue
		}
		_ = res.Body.Close()
		if last = res.Status; !neg && res.StatusCode == want {
			return
		}
	}
	ts.Fatalf("%s: %s", args[0], last)
}

var signalNames = map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1}

// signal NAME FILE: the process of the id in FILE gets a signal.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || signalNames[args[0]] == 0 {
		ts.Fatalf("usage: signal NAME FILE")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signalNames[args[0]]))
}

// logged FILE REGEXP: until the file holds it.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: logged FILE REGEXP")
	}
	want := regexp.MustCompile(args[1])
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text, _ = os.ReadFile(ts.MkAbs(args[0])); want.Match(text) { // it may still come
			return
		}
	}
	ts.Fatalf("%s lacks %s:\n%s", args[0], args[1], text)
}

// child FILE: the process of the id in FILE is gone. Its file may still come.
func child(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		pid, _ := strconv.Atoi(string(text))
		if err != nil || pid == 0 {
			continue
		}
		if alive := syscall.Kill(pid, 0) == nil; alive == neg {
			return
		}
	}
	ts.Fatalf("child %s: gone is not %v", args[0], !neg)
}

var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request METHOD URL [NAME:VALUE...]: prints the status, the Location and the
// body of one answer. REQUEST_BODY is what is sent.
func request() {
	req, err := http.NewRequestWithContext(context.Background(), os.Args[1], os.Args[2], strings.NewReader(os.Getenv("REQUEST_BODY")))
	if err == nil {
		for _, field := range os.Args[3:] {
			name, value, _ := strings.Cut(field, ":")
			req.Header.Set(name, value)
		}
		var res *http.Response
		if res, err = client.Do(req); err == nil {
			fmt.Println(strings.TrimSpace(fmt.Sprintln(res.StatusCode, res.Header.Get("Location"))))
			for _, name := range []string{"Idempotent-Replayed", "Server-Timing", "Once-Outcome"} {
				if value := res.Header.Get(name); value != "" {
					fmt.Printf("%s: %s\n", name, value)
				}
			}
			_, err = io.Copy(os.Stdout, res.Body)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// shop is an app with the usual faults. It listens on PORT, writes its process
// id to SHOP_PID, and ends by itself with a code when it is told to.
func shop() {
	if code := os.Getenv("SHOP_EXIT"); code != "" {
		fmt.Println("the shop gives up")
		n, _ := strconv.Atoi(code) // a test's own
		os.Exit(n)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGUSR1)
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if file := os.Getenv("SHOP_PID"); file != "" {
		_ = os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600) // the test waits for it
	}
	fmt.Println("the shop is open")
	go func() { _ = http.Serve(ln, shopHandler()) }()
	for sig := range stop {
		fmt.Println("the shop got", sig)
		if sig == syscall.SIGTERM {
			return
		}
	}
}

func shopHandler() http.Handler {
	var orders, sick atomic.Int64
	mux := http.NewServeMux()
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	mux.HandleFunc("POST /form", redirect("/done"))
	mux.HandleFunc("DELETE /users/{id}", redirect("/users"))
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]int64{"order": orders.Add(1)}) // the client is gone, if anything
	})
	mux.HandleFunc("POST /slow", func(w http.ResponseWriter, _ *http.Request) {
		_ = os.WriteFile(os.Getenv("SHOP_SLOW"), []byte("started"), 0o600) // the test waits for it
		time.Sleep(2 * time.Second)
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("POST /broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("POST /sick", func(http.ResponseWriter, *http.Request) { sick.Store(1) })
	mux.HandleFunc("POST /well", func(http.ResponseWriter, *http.Request) { sick.Store(0) })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return mux
}
