package journalstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother/store"
)

// TestManyRecordsAreInOrderAfterAStart has keys of all kinds: of the gateway's
// alphabet and not, of other lengths, and with beginnings in common.
func TestManyRecordsAreInOrderAfterAStart(t *testing.T) {
	t.Parallel()
	x := newIndex()
	defer x.release()
	rng := rand.New(rand.NewPCG(1, 2))
	var want []string
	for i := range 3 * sortAlone {
		key := nameOf(rng, 52)
		switch i % 8 {
		case 0:
			key = "order-" + fmt.Sprint(i)
		case 1:
			key = "abcdefgh" + nameOf(rng, 44)
		case 2:
			key = "abcdefgh" + nameOf(rng, 1+i%20)
		case 3:
			key = strings.Repeat("\xff", i%9) + fmt.Sprint(i)
		}
		if _, ok := x.find("p", "c", key); ok {
			continue
		}
		want = append(want, key)
		x.put(&store.Record{Partition: "p", Class: "c", Key: key, State: "s"}, x.sum(key), placeOf(1, int64(i)), 1, false)
	}
	x.build([]int{len(want)})
	slices.Sort(want)
	var got []string
	for c := (cursor{o: &x.sets[0].order}); ; c.next() {
		it, ok := c.item(x)
		if !ok {
			break
		}
		got = append(got, x.keyOf(it.id))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("key %d is %q, want %q", i, got[i], want[i])
			}
		}
	}
	for _, key := range want {
		if id, ok := x.find("p", "c", key); !ok || x.keyOf(id) != key {
			t.Fatalf("%q is not found", key)
		}
	}
}

func nameOf(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b)
}

func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"", "a", "abcdefgh", "abcdefghi", "ABCDEFGH", strings.Repeat("z", 52), strings.Repeat("7", store.MaxKey), "\xff\x00abcdefg"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if len(key) > store.MaxKey {
			return
		}
		var k keys
		defer k.release()
		ref := k.add(key)
		if got := k.get(ref); got != key || !k.is(ref, key) || string(k.plain(ref)) != key || k.compareTwo(ref, ref) != 0 {
			t.Errorf("%q became %q", key, got)
		}
	})
}
