package journalstore

import (
	"os"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
	"github.com/seeother/seeother/store/storetest"
)

func openAny(dir string) (store.Store, error) {
	return Open(dir, Options{SegmentBytes: 1 << 20, DeadBytes: 1 << 20})
}

func TestMain(m *testing.M) {
	storetest.Main(openAny)
	os.Exit(m.Run())
}

func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	storetest.RunKilled(t, openAny, nil)
}

func TestTwoStoresAnswerAlike(t *testing.T) {
	t.Parallel()
	storetest.Alike(t,
		func(c *storetest.Clock) store.Store { return memstore.NewWith(memstore.Options{Now: c.Now}) },
		func(c *storetest.Clock) store.Store {
			s, err := openDisk(newMemDisk(), "memory", Options{Now: c.Now, SegmentBytes: 4 << 10, DeadBytes: 4 << 10, still: true})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		map[string]func(store.Store) error{
			"sweep": func(s store.Store) error {
				for s.(*Store).sweep() {
				}
				return nil
			},
			"clean": func(s store.Store) error {
				s.(*Store).listSealed()
				for s.(*Store).clean() {
				}
				return nil
			},
		},
		func(s store.Store) { s.Close() })
}

// TestTheFolderIsOfOneProcess opens it twice: file locks are of open files, so
// that two stores in one process are as two processes.
func TestTheFolderIsOfOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := Open(dir, Options{}); err == nil || time.Since(begun) < lockPatience/2 {
		t.Errorf("a second store: %v after %v", err, time.Since(begun))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	s.Close()
}
