package guide

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets reproductions find the packages of npm that the repository's other
// tests install, as NODE_PATH does on a user's machine.
func TestMain(m *testing.M) {
	var modules []string
	for _, app := range []string{"express", "scripts", "next", "powertools"} {
		dir, err := filepath.Abs(filepath.Join("../../test/e2e/apps", app, "node_modules"))
		if err != nil {
			panic(err)
		}
		modules = append(modules, dir)
	}
	if err := os.Setenv("NODE_PATH", strings.Join(modules, string(filepath.ListSeparator))); err != nil {
		panic(err)
	}
	m.Run()
}

// atOnce bounds how many reproductions run at a time: each may have a browser.
var atOnce = make(chan struct{}, 4)

// way is one of the ways to run a card's reproduction.
type way struct {
	name string
	run  func(context.Context, *Lab) (Outcome, error)
	real bool
}

// ways are the product itself, and what runs where it is not installed.
func ways(c Card) []way {
	out := []way{{"as it is", c.Repro.Run, c.Repro.Real != ""}}
	if c.Repro.Mechanism != nil {
		out = append(out, way{"mechanism", c.Repro.Mechanism, false})
	}
	return out
}

// needed leaves the test out where something is not installed; or it fails, where
// SEEOTHER_TEST_ALL is set, as in CI.
func needed(t *testing.T, err error) {
	t.Helper()
	if missing, ok := errors.AsType[*MissingError](err); ok && os.Getenv("SEEOTHER_TEST_ALL") == "" {
		t.Skipf("left out: %v; %s", missing, missing.Hint())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shownIn runs a card's reproduction.
func shownIn(t *testing.T, w way, lab *Lab) Outcome {
	t.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	defer lab.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := w.run(ctx, lab)
	needed(t, err)
	return out
}

// versionNumber is the number behind the product's name.
var versionNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)+`)

func TestEveryCardIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		for _, w := range ways(c) {
			t.Run(c.ID+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				out := shownIn(t, w, &Lab{})
				if !out.Shown {
					t.Errorf("not shown:\nfaulty: %q\nmended: %q", out.Faulty, out.Mended)
				}
				if len(out.Faulty) == 0 || len(out.Mended) == 0 {
					t.Error("it wrote nothing down")
				}
				name, number, _ := strings.Cut(out.Version, "/")
				if w.real && (!strings.EqualFold(name, c.Repro.Real) || !versionNumber.MatchString(number)) {
					t.Errorf("it says that %q ran, and the card %q", out.Version, c.Repro.Real)
				}
				if !w.real && out.Version != "" {
					t.Errorf("a mechanism has the version %q", out.Version)
				}
				t.Logf("%s\nfaulty: %q\nmended: %q", out.Version, out.Faulty, out.Mended)
			})
		}
	}
}

// A reproduction that always says yes proves nothing: with the faulty server in the
// place of the mended one, none may.
func TestNoCardIsShownWithoutItsMend(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		for _, w := range ways(c) {
			t.Run(c.ID+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				if out := shownIn(t, w, &Lab{unmended: true}); out.Shown || len(out.Mended) == 0 {
					t.Errorf("shown all the same, or nothing was done: %q", out.Mended)
				}
			})
		}
	}
}

// What people suffer from, by where they said so first.
func TestEveryKnownPainHasACard(t *testing.T) {
	t.Parallel()
	for issue := range strings.FieldsSeq(`
		rails/rails#45292 hotwired/turbo-rails#259 bigskysoftware/htmx#322 nginx-proxy/nginx-proxy#1738 NginxProxyManager/nginx-proxy-manager#3352
		traefik/traefik#11190 traefik/traefik#1819 fastapi/fastapi#1498 netbox-community/netbox#1825 fastapi/fastapi#4990 traefik/traefik#10533
		envoyproxy/gateway#7380 kubernetes/ingress-nginx#1825 kubernetes/ingress-nginx#2002 kubernetes/ingress-nginx#3946 envoyproxy/envoy#11443
		traefik/traefik#9112 labstack/echo#1058 johngodley/redirection#3254 johngodley/redirection#82 johngodley/redirection#3495
		kgateway-dev/kgateway.dev#1003 johngodley/redirection#2715 haproxy/haproxy#2949 10up/safe-redirect-manager#199 civiform/civiform#2469
		whatwg/html#5312 laracasts/flash#163 whatwg/fetch#601 bigskysoftware/htmx#2052 w3c/webappsec-csp#8 liberapay/liberapay.com#952
		aws-powertools/powertools-lambda-python#8049 ikyriak/IdempotentAPI#37 aws-powertools/powertools-lambda-typescript#5675
		arun0009/idempotent#217 square1-io/laravel-idempotency#1 mastodon/mastodon#37879 gofiber/fiber#4693 ArcadeData/arcadedb#7810
		redis/redis#4819 crewAIInc/crewAI#5802`) {
		if !slices.ContainsFunc(All(), func(c Card) bool { return slices.Contains(c.Issues, issue) }) {
			t.Errorf("no card names %s", issue)
		}
	}
}
