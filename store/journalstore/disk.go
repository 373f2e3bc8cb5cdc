package journalstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seeother/seeother/internal/durable"
)

// disk is the folder of a store. Everything that the store does to files goes
// through it, so that tests can see, fail and forget each step.
type disk interface {
	names() ([]string, error)
	create(name string) (file, error) // empty; one of that name is cut
	open(name string) (file, error)
	rename(from, to string) error
	remove(name string) error // one that is not there is no error
	sync() error              // makes names durable
}

// file is a file of it.
type file interface {
	io.ReaderAt
	io.WriterAt
	sync() error // makes what was written durable (fdatasync)
	size() (int64, error)
	Close() error
}

// filePerm lets only the owner in: answers that the store keeps are private.
const filePerm = 0o600

// folder is a disk of the operating system.
type folder string

func (d folder) path(name string) string { return filepath.Join(string(d), name) }

func (d folder) names() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d folder) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, filePerm)
	return osFile{f}, err
}

func (d folder) open(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	return osFile{f}, err
}

func (d folder) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d folder) remove(name string) error {
	if err := os.Remove(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d folder) sync() error { return durable.SyncDir(string(d)) }

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
