package boltstore_test

import (
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/boltstore"
	"github.com/seeother/seeother/store/storetest"
)

func open(t *testing.T, dir string) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(dir, boltstore.Options{})
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
		return func() (store.Store, error) { return boltstore.Open(dir, boltstore.Options{}) }
	})
}
