// Package open turns a URL into a store. It is the one place that knows every
// store by its name, so that the rest of seeother only knows the contract.
package open

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/boltstore"
	"github.com/seeother/seeother/store/journalstore"
	"github.com/seeother/seeother/store/memstore"
	"github.com/seeother/seeother/store/pgstore"
	"github.com/seeother/seeother/store/redisstore"
)

var (
	// ErrURL means that the URL does not name a store.
	ErrURL = errors.New("invalid store URL")
	// ErrLocked means that another process has the folder of an embedded store open.
	ErrLocked = errors.New("store in use")
	// ErrDurability means that the server acknowledges what is not on its disk.
	ErrDurability = errors.New("store not durable")
	// ErrUnusable means that what an embedded store holds is damaged, or of a newer
	// version.
	ErrUnusable = errors.New("store unusable")
)

// known is what messages say of the URLs that can be.
const known = "journal:///folder, bolt:///folder, redis://host:port, postgres://host/database or memory:"

// Open opens the store that rawURL names:
//
//	journal:///var/lib/seeother  the embedded store in this folder
//	journal:data                 the same, relative to the working directory
//	bolt:///var/lib/seeother     the other embedded store, in one file
//	redis://host:port            Redis or Valkey, see package redisstore; rediss:// over TLS
//	postgres://host/database     PostgreSQL, see package pgstore
//	memory:                      a store that forgets everything with the process
//
// An error never repeats the URL, which may hold a password. ctx is for
// connecting.
func Open(ctx context.Context, rawURL string) (store.Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL: want %s", ErrURL, known)
	}
	switch u.Scheme {
	case "journal", "bolt":
		dir, err := folder(u)
		if err != nil {
			return nil, err
		}
		return embedded(u.Scheme, dir)
	case "redis", "rediss":
		return orNil(redisstore.Open(ctx, rawURL, redisstore.Options{}))
	case "postgres", "postgresql":
		return orNil(pgstore.Open(ctx, rawURL, pgstore.Options{}))
	case "memory":
		if rest := *u; rest != (url.URL{Scheme: "memory"}) {
			return nil, fmt.Errorf("%w: memory: takes nothing after it", ErrURL)
		}
		return memstore.New(), nil
	case "":
		return nil, fmt.Errorf("%w: no scheme: want %s", ErrURL, known)
	}
	return nil, fmt.Errorf("%w: scheme %.32q is unknown: want %s", ErrURL, u.Scheme, known)
}

// Folder opens the embedded store in a folder: the one that is there, or a new
// journal.
func Folder(dir string) (store.Store, error) {
	if _, err := os.Stat(filepath.Join(dir, boltstore.FileName)); err == nil {
		return embedded("bolt", dir)
	}
	return embedded("journal", dir)
}

func embedded(scheme, dir string) (store.Store, error) {
	if scheme == "bolt" {
		return orNil(boltstore.Open(dir, boltstore.Options{}))
	}
	trouble := func(err error) { slog.Warn("store trouble", "folder", dir, "error", err) }
	return orNil(journalstore.Open(dir, journalstore.Options{OnTrouble: trouble}))
}

// orNil keeps a nil pointer from becoming a store that is not nil, and gives
// errors of single stores the names that they have here.
func orNil[S store.Store](s S, err error) (store.Store, error) {
	if err == nil {
		return s, nil
	}
	for _, pair := range []struct{ from, to error }{
		{boltstore.ErrLocked, ErrLocked},
		{journalstore.ErrLocked, ErrLocked},
		{boltstore.ErrDamaged, ErrUnusable},
		{boltstore.ErrNewer, ErrUnusable},
		{journalstore.ErrDamaged, ErrUnusable},
		{journalstore.ErrNewer, ErrUnusable},
		{pgstore.ErrNewer, ErrUnusable},
		{redisstore.ErrURL, ErrURL},
		{pgstore.ErrURL, ErrURL},
		{redisstore.ErrDurability, ErrDurability},
		{pgstore.ErrDurability, ErrDurability},
	} {
		if errors.Is(err, pair.from) {
			return nil, &namedError{err, pair.to}
		}
	}
	return nil, err
}

// namedError has the text of one error and counts as another, too.
type namedError struct {
	error

	as error
}

func (e *namedError) Unwrap() []error { return []error{e.error, e.as} }

// folder takes the folder from the URL of an embedded store.
func folder(u *url.URL) (string, error) {
	s := u.Scheme
	if u.Host != "" || u.User != nil {
		return "", fmt.Errorf("%w: %s: the embedded store has no host: write %s:///folder for an absolute one, %s:folder for a relative one", ErrURL, s, s, s)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("%w: %s: no options are known: write ? and # in a folder as %%3F and %%23", ErrURL, s)
	}
	dir := u.Path
	if u.Opaque != "" {
		var err error
		if dir, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("%w: %s: the folder is not well escaped", ErrURL, s)
		}
	}
	if dir == "" {
		return "", fmt.Errorf("%w: %s: no folder: want %s:///folder or %s:folder", ErrURL, s, s, s)
	}
	return filepath.FromSlash(dir), nil
}
