package journalstore

import (
	"testing"

	"github.com/seeother/seeother/store/storetest"
)

func TestLinearWhileKilled(t *testing.T) {
	t.Parallel()
	storetest.RunLinearKilled(t, storetest.Linear{})
}
