package guide

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestASweepRemovesWhatNobodyHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		held       bool
		age        time.Duration
		wantRemove bool
	}{
		{"left by a process that was killed", false, 2 * freshFor, true},
		{"of a process that lives", true, 2 * freshFor, false},
		{"just made, and not held yet", false, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, folderName+"1")
			if err := os.MkdirAll(filepath.Join(dir, "profile"), 0o700); err != nil {
				t.Fatal(err)
			}
			release, ok := hold(dir)
			if !ok {
				t.Skip("this system knows no locks of folders, and nothing is swept")
			}
			if c.held {
				defer release()
			} else {
				release()
			}
			sweep(parent, time.Now().Add(c.age))
			if _, err := os.Stat(dir); os.IsNotExist(err) != c.wantRemove {
				t.Errorf("afterwards: %v, want removed %t", err, c.wantRemove)
			}
		})
	}
}

func TestASweepReadsNoPatternInItsFolder(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "tmp[1]")
	dir := filepath.Join(parent, folderName+"1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	release, ok := hold(dir)
	if !ok {
		t.Skip("this system knows no locks of folders, and nothing is swept")
	}
	release()
	sweep(parent, time.Now().Add(2*freshFor))
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestASweepLeavesOtherFolders(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if err := os.Mkdir(filepath.Join(parent, "seeother-other"), 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(parent, time.Now().Add(time.Hour))
	if _, err := os.Stat(filepath.Join(parent, "seeother-other")); err != nil {
		t.Error(err)
	}
}

// A folder into which something is still written is removed all the same.
func TestAFolderIsRemovedThoughSomethingStillWritesIntoIt(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "profile")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range 200 {
			select {
			case <-stop:
				return
			default:
				_ = os.WriteFile(filepath.Join(dir, time.Now().Format("150405.000000000")), nil, 0o600)
			}
		}
	}()
	remove(dir)
	close(stop)
	<-stopped
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
