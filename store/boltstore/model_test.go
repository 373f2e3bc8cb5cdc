package boltstore

import (
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
	"github.com/seeother/seeother/store/storetest"
)

func TestTwoStoresAnswerAlike(t *testing.T) {
	t.Parallel()
	storetest.Alike(t,
		func(c *storetest.Clock) store.Store { return memstore.NewWith(memstore.Options{Now: c.Now}) },
		func(c *storetest.Clock) store.Store {
			s, err := Open(t.TempDir(), Options{Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		map[string]func(store.Store) error{"sweep": func(s store.Store) error {
			_, err := s.(*Store).sweep()
			return err
		}},
		func(s store.Store) {
			consistent(t, s.(*Store))
			s.Close()
		})
}
