//go:build !linux

package journalstore

func (f osFile) sync() error { return f.Sync() }
