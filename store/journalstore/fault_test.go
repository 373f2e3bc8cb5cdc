package journalstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"syscall"
	"testing"

	"github.com/seeother/seeother/store"
)

func resum(header []byte) []byte {
	binary.LittleEndian.PutUint32(header[headerBytes:], crc32.Checksum(header[:headerBytes], castagnoli))
	return header
}

// TestEachStepMayFailAndNothingAcknowledgedIsLost fails every single step of the
// disk in turn, and from there on none, or all that follow. The small size has the
// three errors share the steps.
func TestEachStepMayFailAndNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	for _, lasting := range []bool{false, true} {
		for i, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
			n, stride := i, 3
			if os.Getenv("SEEOTHER_TORTURE") != "" {
				n, stride = 0, 1
			}
			for failAt(t, n, errno, lasting) {
				n += stride
			}
		}
	}
}

// failAt works on a disk whose step n fails, and is false when there are not so
// many.
func failAt(t *testing.T, n int, errno syscall.Errno, lasting bool) (failed bool) {
	t.Helper()
	d := newMemDisk()
	steps := 0
	d.fault = func(string) error {
		if steps++; steps == n+1 || lasting && steps > n {
			failed = true
			return errno
		}
		return nil
	}
	w := newWorker(t, uint64(n))
	s, err := openDisk(d, "memory", small)
	if err == nil {
		for range 60 {
			if err := w.step(s); err != nil && !errors.Is(err, errno) {
				t.Errorf("step %d: %v, want %v", n, err, errno)
			}
			w.care(s)
		}
		_ = s.Close()
	}
	d.fault = nil
	s, err = openDisk(d, "memory", small)
	if err != nil {
		t.Errorf("step %d failed with %v, and then: %v", n, errno, err)
		return failed
	}
	defer s.Close()
	got := stateOf(t, s)
	for _, what := range missing(w.last(), got, w.doubtful) {
		t.Errorf("step %d: %s", n, what)
	}
	return failed
}

// missing is what was acknowledged and is not there. A step that failed leaves
// doubt: it may have happened, and its version is larger then, or its key gone.
func missing(acked, got state, doubtful map[string]bool) (out []string) {
	for key, want := range acked {
		now, ok := got[key]
		if now != want && !doubtful[key] || ok && versionIn(now) < versionIn(want) {
			out = append(out, fmt.Sprintf("%q is %.30s, and %.30s was acknowledged", key, now, want))
		}
	}
	return out
}

func TestTheFaultTestSeesWhatIsMissing(t *testing.T) {
	t.Parallel()
	acked := state{"k": "3 started 00"}
	for _, test := range []struct {
		got      state
		doubtful bool
		missing  int
	}{
		{acked, false, 0},
		{state{}, false, 1},
		{state{"k": "2 started 00"}, true, 1},
		{state{"k": "4 completed 00"}, false, 1},
		{state{"k": "4 completed 00"}, true, 0},
		{state{}, true, 0},
	} {
		if got := missing(acked, test.got, map[string]bool{"k": test.doubtful}); len(got) != test.missing {
			t.Errorf("%v, %v: %q", test.got, test.doubtful, got)
		}
	}
}

func versionIn(entry string) (v uint64) {
	for i := 0; i < len(entry) && entry[i] != ' '; i++ {
		v = v*10 + uint64(entry[i]-'0')
	}
	return v
}

func TestAfterAFullDiskWritingGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	full := false
	d.fault = func(what string) error {
		if full && (what == "create" || what == "write") {
			return syscall.ENOSPC
		}
		return nil
	}
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	put := func(key string) error {
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: make([]byte, 7000)}))
		return err
	}
	if err := put("a"); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	done := s.next.done
	s.mu.Unlock()
	if done != nil {
		<-done // one may be made already
	}
	_ = put("b")
	d.mu.Lock()
	full = true
	d.mu.Unlock()
	var err error
	for i := 0; err == nil && i < 5; i++ {
		err = put("full" + string(rune('0'+i)))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
	d.mu.Lock()
	full = false
	d.mu.Unlock()
	err = put("later")
	if err != nil { // the first call after it may still tell of the failure
		err = put("later")
	}
	if err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

func TestAStoreWhoseDiskFailedSaysSoToAll(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	d.mu.Lock()
	d.fault = func(what string) error {
		if what == "sync" {
			return syscall.EIO
		}
		return nil
	}
	d.mu.Unlock()
	_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "k", store.Put{}))
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("%v, want EIO", err)
	}
	d.mu.Lock()
	d.fault = nil // a second fsync would claim that all is well
	d.mu.Unlock()
	_, _, get := s.Get(t.Context(), "p", "c", "k")
	_, list := s.List(t.Context(), store.Query{Partition: "p", Class: "c"})
	_, apply := s.Apply(t.Context(), "p", store.PutIfAbsent("c", "l", store.Put{}))
	for what, err := range map[string]error{"get": get, "list": list, "apply": apply, "ready": s.Ready(t.Context())} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v, want EIO", what, err)
		}
	}
}

// TestARefusedWriteIsNoEnd fails a write of a commit, as a full disk does, and
// then lets the disk work again.
func TestARefusedWriteIsNoEnd(t *testing.T) {
	t.Parallel()
	d := newMemDisk()
	s := mustOpenDisk(t, d, small)
	defer s.Close()
	put := func(key string) error {
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: []byte(key)}))
		return err
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	refuse := func(what ...string) { d.refuse(syscall.ENOSPC, what...) }
	refuse("write")
	if err := put("refused"); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
	s.revive()
	_ = put("still") // what is left of the write cannot be cleared away yet, or there was nothing
	refuse()
	s.revive()
	if err := put("after"); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	got := stateOf(t, s)
	if _, ok := got["before"]; !ok {
		t.Errorf("%v: what was acknowledged is gone", got)
	}
	if _, ok := got["after"]; !ok {
		t.Errorf("%v: what came after is missing", got)
	}
	refuse("sync")
	if err := put("lost"); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want ENOSPC", err)
	}
	refuse()
	s.revive()
	if err := put("never"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("after a sync that failed: %v, want that the store stays lost", err)
	}
}
