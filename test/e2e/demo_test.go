package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/chromedp/chromedp"
)

// column is what the demo's page says of one of its two shops.
type column struct {
	Submissions, Orders, Users int
	Outcome                    string
}

// press presses a button of the demo, waits until it is done, and reads both
// columns.
func press(t *testing.T, b *harness.Tab, id string) (without, with column) {
	t.Helper()
	b.Do(t, chromedp.Click(chromedp.ID(id)))
	b.Await(t, fmt.Sprintf(`!document.getElementById(%q).disabled && document.getElementById('connection').textContent === ''`, id))
	read := func(side string) column {
		return harness.Evaluate[column](t, b, fmt.Sprintf(`(() => {
			const field = (name) => document.querySelector('#%s [data-field="' + name + '"]');
			return {
				Submissions: Number(field('submissions').textContent), Orders: Number(field('orders').textContent),
				Users: field('users').querySelectorAll('li:not(.none)').length, Outcome: field('outcome').textContent,
			};
		})()`, side))
	}
	return read("without"), read("with")
}

func TestDemo(t *testing.T) {
	t.Parallel()
	listen, shop := harness.FreeAddr(t), harness.FreeAddr(t)
	demo := harness.Start(t, harness.Command{Path: harness.Binary, Args: []string{"demo", "--listen", listen, "--shop", shop}})
	demo.AwaitURL(t, "http://"+listen+"/")
	for _, text := range []string{"Open this page     http://" + listen + "/", "The shop itself    http://" + shop, "See what is in doubt, for operators:"} {
		demo.AwaitLog(t, text)
	}
	b := harness.Browse(t, "http://"+listen+"/")
	b.Await(t, `document.getElementById('connection').textContent === ''`)

	without, with := press(t, b, "double")
	wantColumn(t, "double, without", without, column{2, 2, 5, "2 sent, 2 made."})
	wantColumn(t, "double, with", with, column{2, 1, 5, "2 sent, 1 made."})

	without, with = press(t, b, "storm")
	wantColumn(t, "storm, without", without, column{7, 7, 5, "5 sent, 5 made."})
	wantColumn(t, "storm, with", with, column{7, 2, 5, "5 sent, 1 made."})

	without, with = press(t, b, "delete")
	wantColumn(t, "delete, without", without, column{7, 7, 0, "The browser went on with DELETE /users: 4 more users were deleted."})
	wantColumn(t, "delete, with", with, column{7, 2, 4, "The browser went on with GET /users: 4 users are left."})
	b.Await(t, `document.getElementById('decisions').textContent.includes('DELETE /users/123  302 -> 303')`)
	b.WantQuiet(t)

	// From here on the browser itself complains of connections that break.
	without, with = press(t, b, "crash")
	wantColumn(t, "crash, without", without, column{9, 9, 0, "That is 2 orders for one checkout."})
	wantColumn(t, "crash, with", with, column{9, 3, 4, "It was not run again"})
	b.WantQuiet(t, "net::ERR", "Failed to load resource")
	admin := regexp.MustCompile(`for operators:\s+(\S+)`).FindStringSubmatch(demo.Out.String())[1]
	if out := harness.Run(t, harness.Binary, "once", "list", "--state", "uncertain", "--admin", admin); !strings.Contains(out, "POST /checkout") {
		t.Errorf("the crash left nothing uncertain:\n%s", out)
	}

	without, with = press(t, b, "reset")
	wantColumn(t, "reset, without", without, column{0, 0, 5, ""})
	wantColumn(t, "reset, with", with, column{0, 0, 5, ""})

	demo.Signal(t, syscall.SIGINT)
	if code := demo.Exit(t); code != 0 || !gone(listen) || !gone(shop) {
		t.Errorf("after Ctrl-C: exit code %d, gone %v and %v; want 0 and both gone", code, gone(listen), gone(shop))
	}
}

// wantColumn compares a column; the outcome must hold the wanted text.
func wantColumn(t *testing.T, when string, got, want column) {
	t.Helper()
	outcome, part := got.Outcome, want.Outcome
	got.Outcome, want.Outcome = "", ""
	if got != want || !strings.Contains(outcome, part) || (part == "") != (outcome == "") {
		t.Errorf("%s: %+v %q, want %+v %q", when, got, outcome, want, part)
	}
}
