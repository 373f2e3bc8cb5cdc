package trace

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Cache is whether and for how long an answer may be used again without asking
// (RFC 9111).
type Cache struct {
	Private   bool   `json:"private"` // the client may keep it
	Shared    bool   `json:"shared"`  // caches that serve many may, too
	Seconds   int64  `json:"seconds"` // how long it is fresh for the client
	ForShared int64  `json:"secondsShared"`
	Forever   bool   `json:"forever,omitempty"` // nothing says how long: some browsers keep it for good
	Heuristic bool   `json:"heuristic"`         // the time is a guess that clients may make
	Why       string `json:"why"`
}

// directives is a Cache-Control header read (RFC 9111 section 5.2): names in
// lower case. Of one that is there twice, the first counts (section 4.2.1).
type directives map[string]string

func parseCacheControl(lines []string) directives {
	out := directives{}
	for text := strings.Join(lines, ","); text != ""; {
		var one string
		one, text = cutDirective(text)
		name, value, _ := strings.Cut(one, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if _, again := out[name]; name != "" && !again {
			out[name] = unquote(strings.Trim(value, " \t"))
		}
	}
	return out
}

// cutDirective cuts at the first comma outside of quotes.
func cutDirective(text string) (first, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\' && quoted:
			i++
		case text[i] == ',' && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func (d directives) has(name string) bool { _, ok := d[name]; return ok }

// age is the directive's time; one that cannot be read counts as none left.
func (d directives) age(name string) (int64, bool) {
	value, ok := d[name]
	if !ok {
		return 0, false
	}
	n, _ := seconds(value) // 0: "considered to be stale"
	return n, true
}

// heuristic are the statuses that a cache may keep unasked (RFC 9110 section
// 15.1), and permanent those that browsers keep without any time.
var (
	heuristic = []int{200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}
	permanent = []int{301, 308, 410}
)

// cacheOf decides for one answer.
func cacheOf(method string, status int, authorized bool, h http.Header) *Cache {
	d := parseCacheControl(h.Values("Cache-Control"))
	if why := notKept(method, status, d, h); why != "" {
		return &Cache{Why: why}
	}
	c := &Cache{Private: true, Shared: !d.has("private")}
	if authorized && !d.has("public") && !d.has("s-maxage") && !d.has("must-revalidate") {
		c.Shared = false
	}
	c.fresh(status, d, h)
	if !c.Shared {
		c.ForShared = 0
	}
	return c
}

// notKept says why nothing may be kept (RFC 9111 section 3); "" where it may.
func notKept(method string, status int, d directives, h http.Header) string {
	explicit := d.has("max-age") || d.has("s-maxage") || d.has("public") || d.has("private") || h.Get("Expires") != ""
	switch {
	case method != http.MethodGet && method != http.MethodHead:
		return "an answer to " + method + " is not used again"
	case d.has("no-store"):
		return "no-store"
	case slices.Contains(h.Values("Vary"), "*"):
		return "Vary: *"
	case !explicit && !slices.Contains(heuristic, status):
		return "nothing says that it may be"
	}
	return ""
}

// fresh is RFC 9111 section 4.2.
func (c *Cache) fresh(status int, d directives, h http.Header) {
	c.Seconds, c.Why = lifetime(status, d, h, c)
	c.ForShared = c.Seconds
	if age, ok := d.age("s-maxage"); ok {
		c.ForShared = age
	}
	if age, ok := seconds(h.Get("Age")); ok {
		c.Seconds, c.ForShared = max(0, c.Seconds-age), max(0, c.ForShared-age)
	}
	if d.has("no-cache") {
		c.Seconds, c.ForShared, c.Forever, c.Why = 0, 0, false, "no-cache: asks each time"
	}
}

func lifetime(status int, d directives, h http.Header, c *Cache) (int64, string) {
	if age, ok := d.age("max-age"); ok {
		return age, "max-age"
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	if text := h.Get("Expires"); text != "" {
		at, err := http.ParseTime(text)
		if err != nil {
			return 0, "Expires is no date, which means the past"
		}
		return bounded(at.Sub(date)), "Expires"
	}
	if !slices.Contains(heuristic, status) && !d.has("public") {
		return 0, "nothing says for how long"
	}
	c.Heuristic = true
	if at, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		return bounded(date.Sub(at) / 10), "a tenth of the time since Last-Modified, as clients guess"
	}
	if slices.Contains(permanent, status) {
		c.Forever = true
		return 0, "permanent, and nothing says for how long: browsers may keep it for good"
	}
	c.Heuristic = false
	return 0, "nothing says for how long"
}

func bounded(d time.Duration) int64 { return min(max(0, int64(d/time.Second)), maxSeconds) }
