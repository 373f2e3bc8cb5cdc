package boltstore

import (
	"testing"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/storetest"
)

func openAny(dir string) (store.Store, error) { return Open(dir, Options{}) }

func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	storetest.RunKilled(t, openAny, func(s store.Store) { consistent(t, s.(*Store)) })
}
