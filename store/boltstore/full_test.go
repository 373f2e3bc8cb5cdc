package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// outgrow lets the system refuse writes beyond a size, as a full disk does, at
// several sizes, so that bolt fails at growing the file as well as at writing
// pages. What is there must stay, and the store must work when there is room.
func outgrow(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil {
		return err
	}
	size := uint64(info.Size())
	for i, limit := range []uint64{2 * 4096, size / 2, size, size + 1, size + 1<<20} {
		if err := outgrowAt(s, limit, fmt.Sprint(i)); err != nil {
			return fmt.Errorf("limit %d of %d: %w", limit, size, err)
		}
	}
	return s.Close()
}

func outgrowAt(s *Store, limit uint64, prefix string) error {
	ctx := context.Background()
	reply, err := s.Apply(ctx, "p", store.PutIfAbsent("c", prefix, store.Put{State: "s"}))
	if err != nil {
		return err
	}
	kept := reply.Records[0]
	lift, err := limitFiles(limit)
	if err != nil {
		return err
	}
	defer lift()
	big := store.Put{State: "big", Value: make([]byte, 256<<10)}
	failed := ""
	for i := 0; i < 300 && err == nil; i++ {
		failed = fmt.Sprint(prefix, " ", i)
		reply, err = s.Apply(ctx, "p", store.PutIfAbsent("c", failed, big), store.PutIfVersion("c", prefix, kept.Version, store.Put{State: "s"}))
		if err == nil {
			kept = reply.Records[1]
		}
	}
	if !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("apply %q: %w, want EFBIG", failed, err)
	}
	if err := s.Ready(ctx); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("ready when writes fail: %v, want EFBIG", err)
	}
	if err := unchanged(s, failed, kept); err != nil {
		return err
	}
	lift()
	if _, err := s.Apply(ctx, "p", store.PutIfAbsent("c", failed, big)); err != nil {
		return fmt.Errorf("apply when there is room: %w", err)
	}
	if err := s.Ready(ctx); err != nil {
		return fmt.Errorf("ready when there is room: %w", err)
	}
	return nil
}

// unchanged looks for what a failed Apply may not have done.
func unchanged(s *Store, failed string, kept store.Record) error {
	ctx := context.Background()
	if _, _, err := s.Get(ctx, "p", "c", failed); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("get of what was refused: %v, want ErrNotFound", err)
	}
	if r, _, err := s.Get(ctx, "p", "c", kept.Key); err != nil || r.Version != kept.Version {
		return fmt.Errorf("get of what was to be replaced: version %d, %v; want %d", r.Version, err, kept.Version)
	}
	_, err := s.Apply(ctx, "p", store.PutIfAbsent("c", kept.Key, store.Put{}))
	if !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("put if absent over what is there: %v, want ErrConflict", err)
	}
	return nil
}

// limitFiles is as a disk that has room for files of this size.
func limitFiles(size uint64) (lift func(), err error) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
		return nil, err
	}
	return func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }, nil
}

func TestAFullDiskRefusesWritesAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	fill(t, s, 100, store.Put{State: "s", Value: make([]byte, 1000), DueIn: time.Hour})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, "outgrow", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s = mustOpen(t, dir)
	consistent(t, s)
	for i := range 100 {
		if _, _, err := s.Get(t.Context(), "p", "c", fmt.Sprintf("%06d", i)); err != nil {
			t.Errorf("get %d: %v", i, err)
		}
	}
}
