package guide

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/seeother/seeother"
)

// act is one side of a reproduction that is played by something else than a Browser.
type act func(ctx context.Context, lab *Lab) (failed bool, steps []Step, version string, err error)

// acts makes a Reproduction's Run of a faulty act and a mended one, as Compare does
// of sides.
func acts(faulty, mended act) func(context.Context, *Lab) (Outcome, error) {
	return func(ctx context.Context, lab *Lab) (out Outcome, err error) {
		if lab.unmended {
			failed, steps, _, err := faulty(ctx, lab)
			return Outcome{Mended: steps, Shown: !failed}, err
		}
		failed, steps, version, err := faulty(ctx, lab)
		if err != nil {
			return Outcome{}, fmt.Errorf("the faulty side: %w", err)
		}
		out.Faulty, out.Version = steps, version
		again, steps, _, err := mended(ctx, lab)
		if err != nil {
			return Outcome{}, fmt.Errorf("the mended side: %w", err)
		}
		out.Mended, out.Shown = steps, failed && !again
		return out, nil
	}
}

// behind is a side with something of ours in front of it, as the gateway is.
func behind(side Side, front func(http.Handler) http.Handler) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		app, version, err := side(ctx, lab)
		if err != nil {
			return "", "", err
		}
		target, err := url.Parse(app)
		if err != nil {
			return "", "", err
		}
		proxy := &httputil.ReverseProxy{
			Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
			ErrorLog: log.New(io.Discard, "", 0), // its 502 is among the steps
		}
		base, err := lab.Serve(front(proxy))
		return base, version, err
	}
}

// mended is a side behind seeother's see_other.
func mended(side Side) Side { return behind(side, seeother.SeeOther) }

// program is a side that is a server program on a port of loopback. command makes it,
// and knows its version.
func program(command func(ctx context.Context, lab *Lab, port int) (cmd *exec.Cmd, version string, err error)) Side {
	return func(ctx context.Context, lab *Lab) (string, string, error) {
		port, err := lab.Port()
		if err != nil {
			return "", "", err
		}
		cmd, version, err := command(ctx, lab, port)
		if err != nil {
			return "", "", err
		}
		if err := lab.Start(ctx, port, cmd); err != nil {
			return "", "", err
		}
		return "http://127.0.0.1:" + strconv.Itoa(port), version, nil
	}
}

// python is an interpreter that has a module, and its version, "flask/2.2.2". The one
// of the system is asked too: Debian's packages belong to it. It has the other modules
// as well.
func python(ctx context.Context, lab *Lab, module, debianPackage string, others ...string) (path, version string, err error) {
	ask := "import " + strings.Join(append(others, module), ", ") + ", importlib.metadata as m; print(m.version('" + module + "'))"
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if said, err := lab.Output(ctx, path, "-c", ask); err == nil {
			return path, module + "/" + lastLine(said), nil
		}
	}
	return "", "", &MissingError{Program: module, Package: debianPackage}
}

// pythonApp is a side that is an app in Python. Its arguments are the port and args.
func pythonApp(app string, interpreter func(context.Context, *Lab) (path, version string, err error), args ...string) Side {
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		path, version, err := interpreter(ctx, lab)
		if err != nil {
			return nil, "", err
		}
		return exec.Command(path, append([]string{"-c", app, strconv.Itoa(port)}, args...)...), version, nil //nolint:gosec // the interpreter that PATH has
	})
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// witness writes down what clients that are no Browser ask of a server.
type witness struct {
	mu    sync.Mutex
	steps []Step
}

// handler is next, watched.
func (w *witness) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: rw, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		text := fmt.Sprintf("%s %s -> %d", r.Method, r.URL, seen.status)
		if seen.hijacked {
			text = fmt.Sprintf("%s %s -> the connection is closed without an answer", r.Method, r.URL)
		}
		if location := rw.Header().Get("Location"); location != "" {
			text += " " + location
		}
		w.note("%s", text)
	})
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, Step{fmt.Sprintf(format, args...)})
}

func (w *witness) all() []Step {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Step(nil), w.steps...)
}

type statusWriter struct {
	http.ResponseWriter
	status   int
	hijacked bool
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Hijack is for http.ResponseController.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
