package forms

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

const firefoxDriver = "browsers/firefox"

// prefs keep a Firefox from asking the network for anything of its own; and where it
// would ask a person whether to send a form again, it does: BiDi does not tell of that
// question, and the tests see that the form was sent.
const prefs = `
user_pref("dom.confirm_repost.testing.always_accept", true);
user_pref("app.normandy.enabled", false);
user_pref("app.update.auto", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.safebrowsing.update.enabled", false);
user_pref("browser.search.update", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage", "about:blank");
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("dom.ipc.processCount", 2);
user_pref("dom.min_background_timeout_value", 4);
user_pref("dom.timeout.enable_budget_timer_throttling", false);
user_pref("extensions.update.enabled", false);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
user_pref("remote.prefs.recommended", true);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.server", "data:,");
`

// driver is the program that drives a Firefox.
type driver struct {
	process *harness.Process
	steps   io.Writer

	mu   sync.Mutex
	last int                    // number of a step; guarded by mu
	open map[int]chan firefoxed // steps without a result; guarded by mu
}

// firefoxed is the result of a step.
type firefoxed struct {
	ID    int             `json:"id"`
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"`
}

// startFirefox starts a Firefox and what drives it. Both end with the test.
func startFirefox(t *testing.T) *driver {
	t.Helper()
	firefox, node := harness.NeedCommand(t, "firefox-esr"), harness.NeedCommand(t, "node")
	harness.NeedNPM(t, "puppeteer-core from npm", harness.Absolute(t, firefoxDriver))
	profile, addr := t.TempDir(), harness.FreeAddr(t)
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	f := harness.Start(t, harness.Command{
		Path: firefox, Ends: true, Env: []string{"HOME=" + profile, "MOZ_CRASHREPORTER_DISABLE=1"},
		Args: []string{"--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", port, "about:blank"},
	})
	f.AwaitLog(t, "WebDriver BiDi listening on ")

	in, steps := pipe(t)
	results, out := pipe(t)
	d := &driver{steps: steps, open: make(map[int]chan firefoxed)}
	d.process = harness.Start(t, harness.Command{
		Path: node, Args: []string{"drive.mjs", "ws://" + addr + "/session"}, Dir: firefoxDriver, Stdin: in, Stdout: out,
	})
	_, _ = in.Close(), out.Close() // they are the driver's
	go d.read(results)
	return d
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func (d *driver) read(results io.Reader) {
	lines := bufio.NewScanner(results)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r firefoxed
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return
		}
		d.mu.Lock()
		result := d.open[r.ID]
		delete(d.open, r.ID)
		d.mu.Unlock()
		if result != nil {
			result <- r
		}
	}
}

// firefox is the page of one person in a Firefox.
type firefox struct {
	driver *driver
	who    string
}

func (d *driver) visit(who string) browser { return &firefox{d, who} }

func (f *firefox) take(s step) (json.RawMessage, error) {
	d := f.driver
	result := make(chan firefoxed, 1)
	d.mu.Lock()
	d.last++
	line, err := json.Marshal(struct {
		ID  int    `json:"id"`
		Who string `json:"who"`
		step
	}{d.last, f.who, s})
	d.open[d.last] = result
	if err == nil {
		_, err = d.steps.Write(append(line, '\n'))
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r := <-result:
		if r.Error != "" {
			return nil, errors.New(r.Error)
		}
		return r.Value, nil
	case <-d.process.Done:
		return nil, fmt.Errorf("the driver ended: %s", d.process.Out.Tail())
	case <-time.After(harness.Patience):
		return nil, errors.New("no result")
	}
}
