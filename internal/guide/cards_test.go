package guide

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// shownIn runs a card's reproduction. What is not installed leaves the test out; or
// it fails, where SEEOTHER_TEST_ALL is set, as in CI.
func shownIn(t *testing.T, c Card, lab *Lab) Outcome {
	t.Helper()
	defer lab.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := c.Repro.Run(ctx, lab)
	if missing, ok := errors.AsType[*MissingError](err); ok && os.Getenv("SEEOTHER_TEST_ALL") == "" {
		t.Skipf("left out: %v", missing)
	}
	if err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	return out
}

func TestEveryCardIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			out := shownIn(t, c, &Lab{})
			if !out.Shown {
				t.Errorf("not shown:\nfaulty: %q\nmended: %q", out.Faulty, out.Mended)
			}
			if len(out.Faulty) == 0 || len(out.Mended) == 0 {
				t.Error("it wrote nothing down")
			}
			if (c.Repro.Real != "") != (out.Version != "") {
				t.Errorf("real %q, version %q: want both or none", c.Repro.Real, out.Version)
			}
		})
	}
}

// A reproduction that always says yes proves nothing: with the faulty server in the
// place of the mended one, none may.
func TestNoCardIsShownWithoutItsMend(t *testing.T) {
	t.Parallel()
	for _, c := range All() {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if out := shownIn(t, c, &Lab{faultyTwice: true}); out.Shown {
				t.Errorf("shown all the same: %q", out.Mended)
			}
		})
	}
}
