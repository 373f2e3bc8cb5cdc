package repeats

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// Entry is one request as a log tells it. Its bytes belong to the parser, until the
// next line is parsed.
type Entry struct {
	Time   int64 // as logged, in milliseconds since 1970 UTC
	Took   int64 // how long it took in milliseconds; -1: not in the log
	Status int

	Client    []byte // address of the peer
	Forwarded []byte // X-Forwarded-For, as it came
	User      []byte // user name
	Agent     []byte // User-Agent
	Session   []byte // session cookie or field
	Host      []byte // host, perhaps with a port
	Scheme    []byte // http or https
	Method    []byte
	Target    []byte // path and query
	Location  []byte // of the answer
	Key       []byte // Idempotency-Key

	Sent      int64 // length of the body, or of the whole request; -1: not in the log
	SentExact bool  // Sent is of the body alone
}

func (e *Entry) reset() { *e = Entry{Took: -1, Sent: -1} }

// start is when the request came, as far as the log tells.
func (e *Entry) start() int64 { return e.Time - max(e.Took, 0) }

// method is a request method, as far as it matters here.
type method uint8

const (
	otherMethod method = iota
	get
	head
	post
	put
	patch
	del
)

var methodNames = [...]string{"other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

func (m method) String() string { return methodNames[m] }

// unsafe methods change something (RFC 9110 section 9.2.1).
func (m method) unsafe() bool { return m >= post }

func methodOf(name []byte) method {
	switch string(name) {
	case "GET":
		return get
	case "HEAD":
		return head
	case "POST":
		return post
	case "PUT":
		return put
	case "PATCH":
		return patch
	case "DELETE":
		return del
	}
	return otherMethod
}

// keys makes hashes of what must be equal. Two of them differ for sure only within
// one run.
type keys struct{ seed maphash.Seed }

func newKeys() keys { return keys{maphash.MakeSeed()} }

// of is a hash over parts, in their order.
func (k keys) of(parts ...[]byte) uint64 {
	var h uint64
	for _, p := range parts {
		h = bits.RotateLeft64(h*oddNumber, 29) ^ maphash.Bytes(k.seed, p)
	}
	return h
}

// oddNumber is 2^64 divided by the golden ratio: it spreads what it multiplies.
const oddNumber = 0x9e3779b97f4a7c15

func (k keys) client(e *Entry) uint64 {
	return k.of(e.Client, e.Forwarded, e.User, e.Agent, e.Session)
}

// submission is what a repetition has in common with the first.
func (k keys) submission(e *Entry) uint64 { return k.of(e.Method, hostName(e.Host), e.Target) }

// hostName leaves a port out.
func hostName(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i > 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// pathOf leaves the query out.
func pathOf[T ~string | ~[]byte](target T) T {
	for i := range len(target) {
		if target[i] == '?' {
			return target[:i]
		}
	}
	return target
}

var assets = [][]byte{
	[]byte(".avif"), []byte(".css"), []byte(".gif"), []byte(".ico"), []byte(".jpeg"), []byte(".jpg"), []byte(".js"), []byte(".map"),
	[]byte(".mjs"), []byte(".mp4"), []byte(".png"), []byte(".svg"), []byte(".ttf"), []byte(".webm"), []byte(".webp"), []byte(".woff"), []byte(".woff2"),
}

// isAsset reports whether the target is a part of a page, which a browser gets by itself.
func isAsset(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte("?"))
	dot := bytes.LastIndexByte(path[max(0, len(path)-6):], '.')
	if dot < 0 {
		return false
	}
	ext := path[max(0, len(path)-6)+dot:]
	for _, a := range assets {
		if bytes.Equal(a, ext) {
			return true
		}
	}
	return false
}

// isBrowser: every browser of the last 25 years calls itself Mozilla or Opera, and
// no robot that says what it is.
func isBrowser(agent []byte) bool {
	if !bytes.HasPrefix(agent, []byte("Mozilla/")) && !bytes.HasPrefix(agent, []byte("Opera/")) {
		return false
	}
	for _, word := range [][]byte{[]byte("bot"), []byte("Bot"), []byte("crawl"), []byte("spider"), []byte("compatible; +"), []byte("HeadlessChrome")} {
		if bytes.Contains(agent, word) {
			return false
		}
	}
	return true
}
