package forms

import "testing"

// kind is one of the two browsers.
type kind struct {
	name  string
	visit func(t *testing.T, who string) browser // somebody who was never here before
}

const chromiumName = "Chromium"

// bothBrowsers are ready for the tests below t.
func bothBrowsers(t *testing.T) []kind {
	t.Helper()
	fox := startFirefox(t)
	return []kind{
		{chromiumName, func(t *testing.T, _ string) browser { return newChromium(t) }},
		{"Firefox", func(_ *testing.T, who string) browser { return fox.visit(who) }},
	}
}

// apps are real ones. Each is started twice.
var apps = []struct {
	name     string
	start    func(t *testing.T) (direct, twin site)
	journeys []journey
	forms    []form
	mask     func(string) string // hides what is another one each time
}{
	{"WordPress", wordPress, wordPressJourneys, wordPressForms, wordPressMask},
	{"Django's admin", django, djangoJourneys, djangoForms, djangoMask},
	{"Rails", rails, railsJourneys, railsForms, func(text string) string { return text }},
}

// TestApps has people do the same in both browsers, with an app and with its twin
// behind a gateway, and then send its forms once too often.
func TestApps(t *testing.T) {
	t.Parallel()
	kinds := bothBrowsers(t)
	for _, app := range apps {
		t.Run(app.name, func(t *testing.T) {
			t.Parallel()
			direct, twin := app.start(t)
			for _, b := range kinds {
				t.Run(b.name, func(t *testing.T) {
					direct.reset(t)
					twin.reset(t)
					compare(t, b, direct, twin, app.journeys, app.mask)
				})
			}
			t.Run("once too often", func(t *testing.T) {
				for _, b := range kinds {
					t.Run(b.name+", direct", func(t *testing.T) {
						t.Parallel()
						attack(t, b, direct, app.forms, false)
					})
					t.Run(b.name+", through the gateway", func(t *testing.T) {
						t.Parallel()
						attack(t, b, twin, app.forms, true)
					})
				}
			})
		})
	}
}
