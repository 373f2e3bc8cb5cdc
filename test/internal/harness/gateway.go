package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Gateway is a running `seeother run`.
type Gateway struct {
	*Process
	URL, Admin string
	Data       string
	Store      string // the URL of one, instead of Data
	Upstream   string
	Listen     string
	AdminAddr  string
}

// RunGateway starts a gateway in front of upstream, with a store of its own.
func RunGateway(t *testing.T, upstream string, flags ...string) *Gateway {
	t.Helper()
	return RunGatewayOn(t, upstream, "", flags...)
}

// RunGatewayOn is RunGateway on the store of a URL; empty: on one of its own.
func RunGatewayOn(t *testing.T, upstream, store string, flags ...string) *Gateway {
	t.Helper()
	g := &Gateway{
		Upstream: upstream, Listen: FreeAddr(t), AdminAddr: FreeAddr(t),
		Data: filepath.Join(t.TempDir(), "data"), Store: store,
	}
	g.URL, g.Admin = "http://"+g.Listen, "http://"+g.AdminAddr
	g.Again(t, flags...)
	return g
}

// Protect is RunGateway with forms protected. A form that is sent again counts as the
// same one for long: on a busy machine a browser may need more than the 10 seconds
// after which its sender is asked.
func Protect(t *testing.T, upstream string, flags ...string) *Gateway {
	t.Helper()
	config := filepath.Join(t.TempDir(), "seeother.yaml")
	if err := os.WriteFile(config, []byte("forms: {same_for: 10m}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return RunGateway(t, upstream, append([]string{"--protect", "--config", config}, flags...)...)
}

// Again starts the gateway with the same addresses and store as before.
func (g *Gateway) Again(t *testing.T, flags ...string) {
	t.Helper()
	place := []string{"--data", g.Data}
	if g.Store != "" {
		place = []string{"--store", g.Store}
	}
	args := append([]string{"run", g.Upstream, "--listen", g.Listen, "--admin", g.AdminAddr}, append(place, flags...)...)
	g.Process = Start(t, Command{Path: Binary, Args: args})
	g.AwaitURL(t, g.Admin+"/healthz")
}

// Once runs `seeother once` against the gateway and returns what it printed.
func (g *Gateway) Once(t *testing.T, args ...string) string {
	t.Helper()
	all := append([]string{"once"}, args...)
	out, err := exec.Command(Binary, append(all, "--admin", g.AdminAddr)...).CombinedOutput()
	if err != nil {
		t.Fatalf("seeother %s: %v\n%s", strings.Join(all, " "), err, out)
	}
	return string(out)
}

// AwaitRunning waits until the app works on n guarded requests.
func (g *Gateway) AwaitRunning(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf(`"running":%d`, n)
	Eventually(t, "a guarded request to run", func() bool {
		_, body, err := get(g.Admin + "/api/v1/status")
		return err == nil && strings.Contains(strings.ReplaceAll(body, " ", ""), want)
	})
}
