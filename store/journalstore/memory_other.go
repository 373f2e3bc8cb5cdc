//go:build !unix

package journalstore

func allocate(n int) []byte { return make([]byte, n) }
func release([]byte)        {}
