package seeother

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Each request of a chain has a Trailer of its own. Whoever made the first one sets
// the values in its Trailer while a body is read (net/http's Request.Trailer), and a
// Transport may still read the body of a request whose answer came early when the next
// one's is read. So the bodies of a chain take turns, and what the Trailer holds at the
// end of one goes to the request that it belongs to.

// errOver is what a body reads as once the next request's is read.
var errOver = errors.New("the redirect has been followed, and the body is read anew")

// trailed are the bodies of a chain whose request has a Trailer.
type trailed struct {
	said http.Header // the caller's

	turn   sync.Mutex // held while a body is read
	latest int        // the number of that which was read last
}

// trailedBody is the body of one request.
type trailedBody struct {
	io.ReadCloser
	chain  *trailed
	number int
	names  []string    // in own
	own    http.Header // the request's, and set at the end of the body: the Transport reads it then
}

// ownTrailer gives the first request of a chain its own Trailer.
func ownTrailer(r *http.Request) {
	if len(r.Trailer) > 0 && hasBody(r) {
		before := &trailedBody{chain: &trailed{said: r.Trailer}, names: slices.Collect(maps.Keys(r.Trailer))}
		r.Body, r.Trailer = before.next(r.Body, false)
	}
}

// next is the body of the next request, and its Trailer.
func (b *trailedBody) next(body io.ReadCloser, crossOrigin bool) (io.ReadCloser, http.Header) {
	next := &trailedBody{body, b.chain, b.number + 1, nil, make(http.Header)}
	for _, name := range b.names {
		if !crossOrigin || !slices.Contains(credentials, http.CanonicalHeaderKey(name)) {
			next.names = append(next.names, name)
			next.own[name] = nil
		}
	}
	if len(next.names) == 0 {
		return next, nil
	}
	return next, next.own
}

// Read waits for who reads an earlier body, and has nobody read on there.
func (b *trailedBody) Read(p []byte) (int, error) {
	b.chain.turn.Lock()
	defer b.chain.turn.Unlock()
	if b.number < b.chain.latest {
		return 0, errOver
	}
	b.chain.latest = b.number
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		for _, name := range b.names {
			b.own[name] = slices.Clone(b.chain.said[name])
		}
	}
	return n, err
}
