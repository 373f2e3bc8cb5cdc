package journalstore_test

import (
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/journalstore"
	"github.com/seeother/seeother/store/storetest"
)

func open(t testing.TB, dir string) *journalstore.Store {
	t.Helper()
	s, err := journalstore.Open(dir, journalstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

func TestStoreIsDurable(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(t *testing.T) func() (store.Store, error) {
		dir := t.TempDir()
		return func() (store.Store, error) { return journalstore.Open(dir, journalstore.Options{}) }
	})
}
