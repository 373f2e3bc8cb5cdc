//go:build !race

package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/seeother/seeother/store"
)

// TestReadingDamagedPagesNeverEndsTheProcess changes bytes of a file anywhere.
// Records have checksums; bolt's pages between them have not, and it panics. The
// race detector cannot watch: it brings checks of pointers, which end a process
// that follows one from a damaged page instead of letting the read fault.
func TestReadingDamagedPagesNeverEndsTheProcess(t *testing.T) {
	t.Parallel()
	whole := written(t, false)
	used := bytes.TrimRight(whole, "\x00")
	met := make(map[string]int)
	note := func(what string, err error) {
		if errors.Is(err, ErrDamaged) {
			met[what]++
		}
	}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := bytes.Clone(whole)
		from := rnd.IntN(2) * 2 * os.Getpagesize() // in half of them the first two pages, which have checksums, stay
		for range 1 + rnd.IntN(200) {
			b[from+rnd.IntN(len(used)-from)] = byte(rnd.Uint32())
		}
		s, err := Open(place(t, b), Options{})
		note("open", err)
		if err != nil {
			continue
		}
		for i := range 400 {
			_, _, err := s.Get(t.Context(), "p", "c", fmt.Sprintf("%06d", i))
			note("get", err)
		}
		_, err = s.List(t.Context(), store.Query{Partition: "p", Class: "c"})
		note("list", err)
		_, err = s.List(t.Context(), store.Query{Partition: "p", Class: "c", Group: "g"})
		note("list by group", err)
		_ = s.Close()
	}
	for _, what := range []string{"open", "get", "list", "list by group"} {
		if met[what] == 0 {
			t.Errorf("no %s met damage: the test does not reach what it should; %v", what, met)
		}
	}
}
