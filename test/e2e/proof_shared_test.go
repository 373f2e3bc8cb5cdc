package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"

	"github.com/seeother/seeother/internal/servertest"
)

// TestSeveralGatewaysOnOneStore is the proof with gateways that share a store, and
// are killed one at a time, so that others find what they left.
func TestSeveralGatewaysOnOneStore(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, dir string) (url string, err error){
		"Redis": func(t *testing.T, dir string) (string, error) {
			r, err := servertest.StartRedis(dir)
			if err != nil {
				return "", err
			}
			t.Cleanup(r.Stop)
			return "redis://" + r.Addr(), nil
		},
		"PostgreSQL": func(t *testing.T, dir string) (string, error) {
			p, err := servertest.StartPostgres(dir)
			if err != nil {
				return "", err
			}
			t.Cleanup(p.Stop)
			return p.URL(), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "seeother-shared-")
			if err == nil {
				err = os.Chmod(dir, 0o755) // the database may be another user's
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			config := filepath.Join(dir, "seeother.yaml")
			if err := os.WriteFile(config, []byte("once:\n  lease: 2s\n  wait: 1s\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			url, err := start(t, dir)
			if errors.Is(err, servertest.ErrMissing) {
				harness.Need(t, name, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := &proof{
				kills: envNumber(t, "SEEOTHER_PROOF_SHARED_KILLS", 3), submissions: envNumber(t, "SEEOTHER_PROOF_SHARED_SUBMISSIONS", 400),
				store: url, gateways: 3, flags: []string{"--config", config},
			}
			p.run(t)
			p.report(t)
		})
	}
}
