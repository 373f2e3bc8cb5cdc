package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/chromedp/cdproto/emulation"
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

// runDemo starts the demo and opens its page, as somebody who is there for the
// first time.
func runDemo(t *testing.T) (demo *harness.Process, b *harness.Tab, listen, shop string) {
	t.Helper()
	listen, shop = harness.FreeAddr(t), harness.FreeAddr(t)
	demo = harness.Start(t, harness.Command{Path: harness.Binary, Args: []string{"demo", "--listen", listen, "--shop", shop}})
	demo.AwaitURL(t, "http://"+listen+"/")
	b = harness.Visit(t)
	b.Do(t, chromedp.Navigate("http://"+listen+"/"))
	b.Await(t, `document.getElementById('connection').textContent === ''`)
	return demo, b, listen, shop
}

// wantEnd stops the demo as Ctrl-C does, and wants nothing of it left.
func wantEnd(t *testing.T, demo *harness.Process, addrs ...string) {
	t.Helper()
	demo.Signal(t, syscall.SIGINT)
	if code := demo.Exit(t); code != 0 {
		t.Errorf("after Ctrl-C: exit code %d, want 0", code)
	}
	for _, addr := range addrs {
		if !gone(addr) {
			t.Errorf("after Ctrl-C something listens at %s", addr)
		}
	}
}

// The five faults of forms, each done to both shops by the demo's own page.
func TestDemoOfForms(t *testing.T) {
	t.Parallel()
	demo, b, listen, shop := runDemo(t)
	for i, fault := range []struct {
		id            string
		without, with string
		arrived       int // submissions with seeother: a refresh submits nothing there
	}{
		{"twice", "2 orders. Each click bought one. The page shows order 2", "1 order. The second click waited for the first, and the page shows order 1.", 2},
		{"refresh", "2 orders. The refresh sent the form again: order 3, and then order 4.", "1 order. The answer has an address of its own, to which a 303 leads. The refresh shows order 2 again.", 1},
		{"back", "2 orders. The shop cannot know that it is the same form: order 5, and then order 6.", "1 order. It is the same form, so that order 3 is shown again.", 2},
		{"tabs", "2 orders. Each tab bought one: orders 7 and 8.", "1 order. Both tabs hold the same form, and both show order 4. A form that is opened anew is a new one.", 2},
		{"drop", "2 orders. The first click had its order made, and nobody saw it. The second one made order 10.", "1 order. The second click shows what the first one did: order 5.", 2},
	} {
		arrived := harness.Evaluate[int](t, b, `Number(document.querySelector('#with [data-field="submissions"]').textContent)`)
		without, with := press(t, b, fault.id)
		wantColumn(t, fault.id+", without", without, column{2 * (i + 1), 2 * (i + 1), 5, fault.without})
		wantColumn(t, fault.id+", with", with, column{arrived + fault.arrived, i + 1, 5, fault.with})
	}
	b.WantQuiet(t)
	if dialogs := b.Dialogs(); len(dialogs) > 0 {
		t.Errorf("the browser asked: %q", dialogs)
	}
	wantKeyboardAndPhone(t, b)
	if folder := os.Getenv("SEEOTHER_PICTURES"); folder != "" {
		for _, id := range []string{"delete", "tabs"} {
			press(t, b, id)
		}
		takePictures(t, b, folder)
	}
	wantEnd(t, demo, listen, shop)
}

// wantKeyboardAndPhone presses a button by keyboard, which keeps the focus, and
// wants nothing of the page beyond the edge of a phone.
func wantKeyboardAndPhone(t *testing.T, b *harness.Tab) {
	t.Helper()
	b.Do(t, chromedp.Focus(chromedp.ID("reset")), chromedp.KeyEvent("\r"))
	b.Await(t, `document.querySelector('#without [data-field="orders"]').textContent === '0' && document.activeElement.id === 'reset'`)
	b.Do(t, chromedp.EmulateViewport(360, 800, chromedp.EmulateMobile))
	if wide := harness.Evaluate[int](t, b, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("the page is %d pixels wide on a phone of 360", wide)
	}
	b.Do(t, chromedp.ResetViewport())
}

// takePictures is how docs/demo.png is made; see tools/screenshot.sh.
func takePictures(t *testing.T, b *harness.Tab, folder string) {
	t.Helper()
	phone := []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateScale(2)}
	for _, p := range []struct {
		name, colours string
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{
		{"demo.png", "light", 1180, 1372, nil},
		{"demo-dark.png", "dark", 1280, 1372, nil},
		{"demo-phone.png", "light", 390, 1800, phone},
		{"demo-phone-dark.png", "dark", 360, 1800, phone},
	} {
		colours := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: p.colours}}}
		if _, err := chromedp.Call(b.Ctx, emulation.SetEmulatedMedia, colours); err != nil {
			t.Fatal(err)
		}
		b.Do(t, chromedp.EmulateViewport(p.width, p.height, p.options...))
		harness.Evaluate[any](t, b, `document.activeElement.blur(), scrollTo(0, 0)`)
		png, err := chromedp.Run(b.Ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, p.name), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	demo, b, listen, shop := runDemo(t)
	for _, text := range []string{"Open this page     http://" + listen + "/", "The shop itself    http://" + shop, "See what is in doubt, for operators:"} {
		demo.AwaitLog(t, text)
	}

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

	wantEnd(t, demo, listen, shop)
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
