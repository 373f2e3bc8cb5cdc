// Package open turns a URL into a store. It is the one place that knows every
// store by its name, so that the rest of seeother only knows the contract.
package open

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/boltstore"
	"github.com/seeother/seeother/store/memstore"
)

// ErrURL means that the URL does not name a store.
var ErrURL = errors.New("invalid store URL")

// ErrLocked means that another process has the folder of an embedded store open.
var ErrLocked = boltstore.ErrLocked

// known is what messages say of the URLs that can be.
const known = "bolt:///folder, bolt:folder or memory:"

// Open opens the store that rawURL names:
//
//	bolt:///var/lib/seeother  the embedded store in this folder
//	bolt:data                 the same, relative to the working directory
//	memory:                   a store that forgets everything with the process
//
// An error never repeats the URL, which may hold a password.
func Open(rawURL string) (store.Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL: want %s", ErrURL, known)
	}
	switch u.Scheme {
	case "bolt":
		dir, err := folder(u)
		if err != nil {
			return nil, err
		}
		return openBolt(dir)
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

// openBolt keeps a nil *boltstore.Store from becoming a store that is not nil.
func openBolt(dir string) (store.Store, error) {
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// folder takes the folder from the URL of an embedded store.
func folder(u *url.URL) (string, error) {
	if u.Host != "" || u.User != nil {
		return "", fmt.Errorf("%w: bolt: the embedded store has no host: write bolt:///folder for an absolute one, bolt:folder for a relative one", ErrURL)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("%w: bolt: no options are known: write ? and # in a folder as %%3F and %%23", ErrURL)
	}
	dir := u.Path
	if u.Opaque != "" {
		var err error
		if dir, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("%w: bolt: the folder is not well escaped", ErrURL)
		}
	}
	if dir == "" {
		return "", fmt.Errorf("%w: bolt: no folder: want bolt:///folder or bolt:folder", ErrURL)
	}
	return filepath.FromSlash(dir), nil
}
