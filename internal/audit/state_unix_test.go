//go:build unix

package audit

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe would be waited for, and a device does what it does.
func TestQueuesAreRegularFiles(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	if err := unix.Mkfifo(state+queueSuffix, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Options{Start: mustParse(t, "http://127.0.0.1:1/"), State: state, Rate: -1}); !errors.Is(err, ErrState) {
		t.Errorf("a pipe is taken: %v", err)
	}
}
