package differential

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule/importer"
	"github.com/seeother/seeother/test/internal/harness"
)

const (
	randomConfigs  = 40
	randomRequests = 300 // for each
)

// TestNginxRandom compares configurations that nobody would write: locations,
// rewrites and conditions put together at random.
func TestNginxRandom(t *testing.T) {
	nginx := harness.NeedCommand(t, "nginx")
	n := randomConfigs
	if more, err := strconv.Atoi(os.Getenv("SEEOTHER_DIFFERENTIAL_CONFIGS")); err == nil {
		n = more
	}
	compared := 0
	for seed := range uint64(n) {
		w := &randomConfig{r: rand.New(rand.NewPCG(seedOr(nginxSeed), seed))}
		text := w.write()
		file := filepath.Join(t.TempDir(), "random.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		res, err := importer.Import(importer.Nginx, file, strings.NewReader(text), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Notes) > 0 { // something is different, and said so
			continue
		}
		compared++
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			if r := runNginx(t, nginx, file, randomRequests); r.Wrong > 0 {
				Check(t, r)
				t.Log(text)
			}
		})
	}
	if compared < n/4 {
		t.Errorf("only %d of %d configurations could be compared", compared, n)
	}
}

// randomConfig writes a configuration.
type randomConfig struct {
	r     *rand.Rand
	b     strings.Builder
	count int
}

func (w *randomConfig) pick(list ...string) string { return pick(w.r, list) }

func (w *randomConfig) target() string {
	w.count++
	return fmt.Sprintf("/t%d%s", w.count, w.pick("", "/", "/$1", "?a=1", "/$1/$2", "$uri", "$request_uri", "?q=$1", "/x?from=$uri", "$is_args$args", "/$host"))
}

func (w *randomConfig) path() string {
	return "/" + w.pick("a", "b", "a/b", "a/", "b/", "a/b/", "c.php", "a/b/c", "ab", "")
}

func (w *randomConfig) pattern() string {
	return w.pick("^/a/(.*)$", "^/a/b/(.*)$", "^/b/([^/]+)/?$", "^/(a|b)/(.*)$", `\.php$`, "^/ab?/", "(?:/|^)b", "^/a$", `^/(\w)(\d*)$`, "^", "^/(.*)/c$", "^/(?!a)(.*)$", "/$", "^/a")
}

func (w *randomConfig) line(depth int, format string, args ...any) {
	fmt.Fprintf(&w.b, strings.Repeat("  ", depth)+format+"\n", args...)
}

func (w *randomConfig) write() string {
	w.line(0, `map $%s $m { default ""; %s /m1; %s /m2$is_args$args; "~%s" /m3/$1; }`, w.pick("uri", "request_uri", "uri"), "/a/b", "/b", w.pattern())
	for i, name := range []string{"one.example", "*.example", "~^(two|three)\\.test$"}[:1+w.r.IntN(3)] {
		w.line(0, "server {")
		w.line(1, "listen 80%s; server_name %s;", map[bool]string{true: " default_server"}[i == 0 && w.r.IntN(2) == 0], name)
		w.line(1, `set $v0 ""; set $v1 "";`)
		w.code(1, w.r.IntN(3), false)
		seen := map[string]bool{}
		for range 2 + w.r.IntN(6) {
			w.location(1, "/", seen)
		}
		w.line(0, "}")
	}
	return w.b.String()
}

// code writes some directives of the rewrite module.
func (w *randomConfig) code(depth, n int, inIf bool) {
	for range n {
		kind := w.r.IntN(10)
		for inIf && 4 <= kind && kind <= 6 { // nginx takes none inside of another
			kind = w.r.IntN(10)
		}
		switch kind {
		case 0, 1:
			w.line(depth, "rewrite %s %s %s;", w.pattern(), w.target(), w.pick("permanent", "redirect"))
		case 2, 3:
			w.line(depth, "rewrite %s %s%s%s;", w.pattern(), w.path(), w.pick("", "$1", "x"), w.pick("", " last", " break"))
		case 4, 5, 6:
			w.line(depth, "if (%s) {", w.condition())
			w.code(depth+1, 1, true)
			w.line(depth, "}")
		case 7:
			w.line(depth, "set $v%d %s;", w.r.IntN(2), w.pick("x", "$1", "$uri", "y$v0", "$arg_a", `""`))
		case 8:
			w.line(depth, "return %s %s;", w.pick("301", "302", "307", "308"), w.target())
		case 9:
			w.line(depth, "%s;", w.pick("break", "return 404", "return 410"))
		}
	}
}

func (w *randomConfig) condition() string {
	return w.pick("$arg_a", "$arg_a = 1", "$args ~ ^a=(.)", "$request_method != GET", "$request_method = POST", "$http_x_a", `$http_x_a ~* "^(y)"`, "$m", "$v0 = x", "$v1",
		"$host = one.example", "$uri ~ "+w.pattern(), "$request_uri ~ ^/a/([^?]*)$", "$cookie_c = 1", "$is_args", "$uri = /a/b", "$host ~ ^(one|a)\\.")
}

// location writes one in a block for paths that begin with prefix.
func (w *randomConfig) location(depth int, prefix string, seen map[string]bool) {
	modifier, text := w.pick("= ", "", "", "", "^~ "), prefix+strings.TrimPrefix(w.path(), "/")
	if w.r.IntN(3) == 0 {
		modifier, text = w.pick("~ ", "~* "), w.pattern()
	}
	key := strings.TrimPrefix(modifier, "^~ ") + text // a prefix may be there once, with ^~ or without
	if seen[key] || depth > 1 && modifier != "~ " && modifier != "~* " && text == prefix {
		return
	}
	seen[key] = true
	w.line(depth, "location %s%s {", modifier, text)
	w.code(depth+1, 1+w.r.IntN(2), false)
	switch w.r.IntN(5) {
	case 0:
		w.line(depth+1, "proxy_pass http://127.0.0.1:9;")
	case 1, 2:
		if modifier == "" || modifier == "^~ " {
			inner := map[string]bool{}
			w.location(depth+1, text, inner)
			w.location(depth+1, text, inner)
		}
	}
	w.line(depth, "}")
}
