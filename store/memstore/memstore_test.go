package memstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
	"github.com/seeother/seeother/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memstore.New() })
}

func TestAFullStoreRefusesAndForgetsNothing(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]memstore.Options{
		"records": {MaxRecords: 10},
		"bytes":   {MaxBytes: 10 * (1 + 1 + 1 + 100)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memstore.NewWith(o)
			defer s.Close()
			put := func(key string) (store.Reply, error) {
				return s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: make([]byte, 100)}))
			}
			var last store.Record
			for i := range 10 {
				reply, err := put(fmt.Sprint(i))
				if err != nil {
					t.Fatalf("put %d: %v", i, err)
				}
				last = reply.Records[0]
			}
			if _, err := put("x"); !errors.Is(err, memstore.ErrFull) {
				t.Fatalf("put into a full store: %v, want ErrFull", err)
			}
			for i := range 10 {
				if _, _, err := s.Get(t.Context(), "p", "c", fmt.Sprint(i)); err != nil {
					t.Errorf("get %d: %v", i, err)
				}
			}
			// What is there can still be settled and deleted.
			reply, err := s.Apply(t.Context(), "p", store.PutIfVersion("c", last.Key, last.Version, store.Put{Value: make([]byte, 100)}))
			if err != nil {
				t.Fatalf("replace in a full store: %v", err)
			}
			if _, err := s.Apply(t.Context(), "p", store.DeleteIfVersion("c", last.Key, reply.Records[0].Version)); err != nil {
				t.Fatalf("delete in a full store: %v", err)
			}
			if _, err := put("x"); err != nil {
				t.Errorf("put where there is room again: %v", err)
			}
		})
	}
}

func TestWhatExpiredMakesRoom(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := memstore.NewWith(memstore.Options{MaxRecords: 3, Now: func() time.Time { return now }})
	defer s.Close()
	put := func(key string) error {
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{TTL: time.Minute}))
		return err
	}
	for i := range 3 {
		if err := put(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("x"); !errors.Is(err, memstore.ErrFull) {
		t.Fatalf("put into a full store: %v, want ErrFull", err)
	}
	now = now.Add(time.Minute)
	if err := put("x"); err != nil {
		t.Errorf("put when all had expired: %v", err)
	}
}
