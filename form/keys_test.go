package form

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

func newRing(t testing.TB, seed byte) *keyring.Ring {
	t.Helper()
	ring, err := keyring.New(bytes.Repeat([]byte{seed}, keyring.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func mustOpenKeys(t testing.TB, st store.Store, c KeyConfig) *Keys {
	t.Helper()
	k, err := OpenKeys(t.Context(), st, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func newStore(t testing.TB) *memstore.Store {
	t.Helper()
	st := memstore.New()
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// wrapped is a store that can be down, and counts.
type wrapped struct {
	store.Store
	down       atomic.Bool
	gets, puts atomic.Int32
	beforePut  func()
}

var errDown = errors.New("store is down")

func (s *wrapped) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	s.gets.Add(1)
	if s.down.Load() {
		return store.Record{}, time.Time{}, errDown
	}
	return s.Store.Get(ctx, partition, class, key)
}

func (s *wrapped) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if s.down.Load() {
		return store.Reply{}, errDown
	}
	s.puts.Add(1)
	if s.beforePut != nil {
		s.beforePut()
	}
	return s.Store.Apply(ctx, partition, ops...)
}

func record(t *testing.T, st store.Store) store.Record {
	t.Helper()
	rec, _, err := st.Get(t.Context(), "default", keysClass, keysKey)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestAllGatewaysOfAStoreHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	for name, seal := range map[string]*keyring.Ring{"in clear": nil, "encrypted": newRing(t, 1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStore(t)
			one, two := mustOpenKeys(t, st, KeyConfig{Seal: seal}), mustOpenKeys(t, st, KeyConfig{Seal: seal})
			sealed := one.Seal([]byte("secret"), []byte("here"))
			if got, err := two.Open(sealed, []byte("here")); err != nil || string(got) != "secret" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := two.Open(sealed, []byte("there")); !errors.Is(err, keyring.ErrForged) {
				t.Errorf("in another place: %v", err)
			}
			if sum := two.Sum([]byte("data")); !one.SumOf(sum, []byte("data")) || one.SumOf(sum, []byte("date")) {
				t.Error("sums do not agree")
			}
			if value := record(t, st).Value; bytes.Contains(value, []byte("key")) != (seal == nil) {
				t.Errorf("stored as %q", value)
			}
		})
	}
}

func TestTwoGatewaysThatBeginAtOnceAgree(t *testing.T) {
	t.Parallel()
	st := newStore(t)
	late := &wrapped{Store: st}
	var one *Keys
	late.beforePut = func() { // after it found nothing
		late.beforePut = nil
		one = mustOpenKeys(t, st, KeyConfig{})
	}
	two := mustOpenKeys(t, late, KeyConfig{})
	if !one.SumOf(two.Sum(nil), nil) || !two.SumOf(one.Sum(nil), nil) {
		t.Error("each has a key of its own")
	}
}

func TestKeysOfTenantsAreApart(t *testing.T) {
	t.Parallel()
	st := newStore(t)
	one, two := mustOpenKeys(t, st, KeyConfig{Tenant: "a"}), mustOpenKeys(t, st, KeyConfig{Tenant: "b"})
	if two.SumOf(one.Sum(nil), nil) {
		t.Error("b takes what a signed")
	}
}

func TestANewKeyIsKnownEverywhereBeforeItSigns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := &wrapped{Store: newStore(t)}
		one, two := mustOpenKeys(t, st, KeyConfig{}), mustOpenKeys(t, st, KeyConfig{})
		first := one.Sum(nil)
		changed, step := 0, time.Minute
		for at := time.Duration(0); at < 73*time.Hour; at += step {
			before := one.Sum(nil)
			time.Sleep(step)
			synctest.Wait()
			gets := st.gets.Load()
			if !two.SumOf(one.Sum(nil), nil) || !one.SumOf(two.Sum(nil), nil) {
				t.Fatalf("after %s one signs with a key that the other has not", at)
			}
			if st.gets.Load() != gets {
				t.Fatalf("after %s the store was asked for a key", at)
			}
			if !bytes.Equal(before, one.Sum(nil)) {
				changed++
			}
			if at < 72*time.Hour && !two.SumOf(first, nil) {
				t.Fatalf("after %s the first key is forgotten", at)
			}
		}
		if changed != 3 {
			t.Errorf("%d keys in three days, want 3", changed)
		}
		if two.SumOf(first, nil) || one.SumOf(first, nil) {
			t.Error("the first key still counts after 24 h and 48 h")
		}
		if n := len(two.current.Load().set); n > 4 {
			t.Errorf("%d keys are kept", n)
		}
		if n := st.puts.Load(); n > 8 {
			t.Errorf("%d writes for 4 keys of 2 gateways", n)
		}
	})
}

func TestAKeyThatIsNotHereIsLookedForOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := &wrapped{Store: newStore(t)}
		one := mustOpenKeys(t, st, KeyConfig{})
		place := one.cfg.place()
		rec := record(t, st.Store)
		set, err := decodeKeys(rec.Value, nil, place)
		if err != nil {
			t.Fatal(err)
		}
		value, _ := encodeKeys(set.rotated(time.Now(), 0, time.Hour), nil, place)
		if _, err := st.Store.Apply(t.Context(), "default", store.PutIfVersion(keysClass, keysKey, rec.Version, store.Put{Value: value})); err != nil {
			t.Fatal(err)
		}
		two := mustOpenKeys(t, st, KeyConfig{})
		time.Sleep(time.Millisecond)
		sealed := two.Seal([]byte("x"), nil)
		if got, err := one.Open(sealed, nil); err != nil || string(got) != "x" {
			t.Errorf("%q, %v: the new key is not looked for", got, err)
		}
		gets, foreign := st.gets.Load(), FixedKeys(newRing(t, 9)).Sum(nil)
		for range 100 {
			if one.SumOf(foreign, nil) {
				t.Error("a foreign sum counts")
			}
		}
		if n := st.gets.Load() - gets; n != 0 {
			t.Errorf("the store is asked %d times in the same second", n)
		}
		time.Sleep(time.Second)
		for range 100 {
			_, _ = one.Open(foreign, nil)
		}
		if n := st.gets.Load() - gets; n != 1 {
			t.Errorf("the store is asked %d times in the next second, want 1", n)
		}
	})
}

func TestAStoreThatIsDownTakesNoKeyAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		st := &wrapped{Store: newStore(t)}
		k := mustOpenKeys(t, st, KeyConfig{Log: slog.New(slog.NewTextHandler(&log, nil))})
		sum := k.Sum(nil)
		st.down.Store(true)
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		if !k.SumOf(sum, nil) || !bytes.Equal(sum, k.Sum(nil)) {
			t.Error("the key is gone")
		}
		if n := strings.Count(log.String(), "cannot be read"); n != 1 {
			t.Errorf("the log says so %d times:\n%s", n, &log)
		}
		st.down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if !k.SumOf(sum, nil) || bytes.Equal(sum, k.Sum(nil)) {
			t.Error("there is no new key, or the old one is gone at once")
		}
		if !strings.Contains(log.String(), "again") {
			t.Errorf("the log does not say that it is over:\n%s", &log)
		}
	})
}

func TestAKeyThatWasPublishedSignsAlsoWhereTheStoreIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := &wrapped{Store: newStore(t)}
		k := mustOpenKeys(t, st, KeyConfig{})
		sum := k.Sum(nil)
		time.Sleep(24*time.Hour - 5*time.Minute)
		synctest.Wait()
		if n := len(k.current.Load().set); n != 2 || !bytes.Equal(sum, k.Sum(nil)) {
			t.Fatalf("%d keys are there, or the new one signs already", n)
		}
		st.down.Store(true)
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if bytes.Equal(sum, k.Sum(nil)) {
			t.Error("the new key does not sign")
		}
	})
}

func TestKeysThatTheStoreLostAreWrittenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t)
		k := mustOpenKeys(t, st, KeyConfig{})
		sum := k.Sum(nil)
		if _, err := st.Apply(t.Context(), "default", store.DeleteIfVersion(keysClass, keysKey, record(t, st).Version)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if two := mustOpenKeys(t, st, KeyConfig{}); !two.SumOf(sum, nil) {
			t.Error("what was signed before counts no more")
		}
	})
}

func TestKeysInClearGiveWayWhenEncryptionIsSwitchedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t)
		old := mustOpenKeys(t, st, KeyConfig{}).Sum(nil)
		k := mustOpenKeys(t, st, KeyConfig{Seal: newRing(t, 1)})
		if value := record(t, st).Value; value[0] != keysSealed {
			t.Errorf("they still stand in clear: %q", value)
		}
		if !k.SumOf(old, nil) {
			t.Error("the old key is gone at once")
		}
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if bytes.Equal(old, k.Sum(nil)) {
			t.Error("the key that could be read still signs")
		}
	})
}

func TestKeysThatCannotBeReadAreNotReplaced(t *testing.T) {
	t.Parallel()
	st := newStore(t)
	mustOpenKeys(t, st, KeyConfig{Seal: newRing(t, 1)})
	before := record(t, st)
	for name, c := range map[string]struct {
		seal *keyring.Ring
		want error
	}{
		"without a key":      {nil, errNoSeal},
		"with another key":   {newRing(t, 2), keyring.ErrUnknownKey},
		"for another tenant": {newRing(t, 1), keyring.ErrForged},
	} {
		cfg := KeyConfig{Seal: c.seal}
		if c.want == keyring.ErrForged {
			cfg.Tenant = "other"
			if _, err := st.Apply(t.Context(), "other", store.PutIfAbsent(keysClass, keysKey, store.Put{Value: before.Value})); err != nil {
				t.Fatal(err)
			}
		}
		_, err := OpenKeys(t.Context(), st, cfg)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "configure the key") {
			t.Errorf("%s: %v, want %v and what to do", name, err, c.want)
		}
	}
	if after := record(t, st); after.Version != before.Version {
		t.Error("they were written over")
	}
}

func TestAStoreThatIsDownAtTheStartIsAnError(t *testing.T) {
	t.Parallel()
	st := &wrapped{Store: newStore(t)}
	st.down.Store(true)
	if _, err := OpenKeys(t.Context(), st, KeyConfig{}); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}

func TestAKeyConfigThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []KeyConfig{
		{Rotate: time.Second},
		{Keep: time.Second},
		{Rotate: time.Hour, Keep: 13 * time.Hour},
		{Rotate: -1},
		{Keep: -1},
		{StoreTime: -1},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if err := (KeyConfig{}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := OpenKeys(t.Context(), nil, KeyConfig{Rotate: time.Second}); err == nil {
		t.Error("OpenKeys does not validate")
	}
}

func TestFixedKeysNeedNoStore(t *testing.T) {
	t.Parallel()
	k := FixedKeys(newRing(t, 1))
	defer k.Close()
	if got, err := k.Open(k.Seal([]byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := k.Open(FixedKeys(newRing(t, 2)).Seal(nil, nil), nil); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("%v", err)
	}
}

func TestAClockThatWasWrongDoesNotStopRotation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := keySet{}.rotated(now, 0, time.Hour)
	s = s.rotated(now.AddDate(50, 0, 0), time.Minute, time.Hour) // that clock went wrong
	if !s.wantsNew(now, time.Minute, time.Hour) {
		t.Fatal("a key of the far future holds the next one up")
	}
	s = s[len(s)-1:].rotated(now, time.Minute, time.Hour)
	if i := s.signer(now.Add(time.Minute)); i != 1 {
		t.Errorf("key %d signs", i)
	}
	if s.wantsNew(now, time.Minute, time.Hour) {
		t.Error("it is never satisfied")
	}
	for range 40 {
		s = s.rotated(now, time.Minute, time.Hour)
	}
	if err := s.validate(); err != nil {
		t.Error(err)
	}
}

func TestMalformedKeysAreRefusedAndNotShown(t *testing.T) {
	t.Parallel()
	key := `{"key":"` + strings.Repeat("QUFB", 10) + `QUE=","made":"2026-01-01T00:00:00Z","from":"2026-01-01T00:00:00Z"}`
	if _, err := decodeKeys([]byte("\x01["+key+"]"), nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		"", "\x01", "\x03[" + key + "]", "\x01{}", "\x01[]", "\x01[{}]", "\x01[" + key + "," + key + "]",
		"\x01[" + key + "]x", "\x01[" + key[1:] + "]", "\x01[" + key + strings.Repeat(" ", maxKeyRecord) + "]",
	} {
		if _, err := decodeKeys([]byte(value), nil, nil); !errors.Is(err, errKeyRecord) || strings.Contains(err.Error(), "QUFB") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func FuzzDecodeKeys(f *testing.F) {
	seal, place := newRing(f, 1), []byte("place")
	set := keySet{}.rotated(time.Unix(1e9, 0), 0, time.Hour).rotated(time.Unix(2e9, 0), time.Hour, time.Hour)
	for _, ring := range []*keyring.Ring{nil, seal} {
		value, err := encodeKeys(set, ring, place)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Add([]byte("\x01[]"))
	f.Add([]byte("\x01[{\"key\":\"\",\"made\":\"9999-12-31T23:59:59Z\",\"from\":\"0001-01-01T00:00:00Z\"}]"))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decodeKeys(value, seal, place)
		if err != nil {
			return
		}
		for _, now := range []time.Time{{}, time.Unix(0, 0), time.Unix(4e9, 0)} {
			ring, err := s.ring(now, time.Hour)
			if err != nil {
				t.Fatalf("%v, though it was taken", err)
			}
			if !ring.SumOf(ring.Sum(nil), nil) {
				t.Error("it does not sign")
			}
			s.wantsNew(now, time.Minute, time.Hour)
			next := s.rotated(now, time.Minute, time.Hour)
			again, err := encodeKeys(next, nil, place)
			if err != nil {
				return // a year that JSON cannot hold
			}
			if _, err := decodeKeys(again, nil, place); err != nil {
				t.Errorf("the next set cannot be read: %v", err)
			}
		}
	})
}
