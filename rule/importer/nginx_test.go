package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seeother/seeother/rule"
)

func importText(t *testing.T, text string, o Options) *Result {
	t.Helper()
	res, err := Import(Nginx, "nginx.conf", strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// lines are the rules as JSON without what a test does not look at.
func lines(res *Result) []string {
	var all []string
	for _, r := range res.Rules {
		text, _ := json.Marshal(r)
		all = append(all, strings.NewReplacer(`"decoded":true,`, "", `,"target_query":"drop"`, "", `\u003c`, "<", `\u003e`, ">").Replace(string(text)))
	}
	return all
}

func TestNginxRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
	}{
		{
			"a return with the request's URI keeps the query by itself",
			`server { server_name a.example; return 301 https://b.example$request_uri; }`,
			[]string{`{"status":301,"target":"https://b.example{path}"}`},
		},
		{
			"a return with a URL alone is 302",
			`server { return https://b.example/; }`,
			[]string{`{"status":302,"target":"https://b.example/"}`},
		},
		{
			"a return that answers lets pass, and only where a later rule would take it",
			`server { location = /x { return 200 ok; } location /x { return 301 /y; } location /z { return 200 ok; } }`,
			[]string{`{"path":"/x","intent":"pass"}`, `{"regexp":"^/x","status":301,"target":"/y"}`},
		},
		{
			"a rewrite adds the arguments, to its own if there are any, and not after a question mark",
			`rewrite ^/a/(.*)$ /b/$1 permanent; rewrite ^/c$ /d?e=f redirect; rewrite ^/g$ /h?i=j? redirect;`,
			[]string{
				`{"regexp":"^/a/(.*)$","status":301,"target":"/b/{1}"}`,
				`{"regexp":"^/c$","status":302,"target":"/d?e=f","target_query":"append"}`,
				`{"regexp":"^/g$","status":302,"target":"/h?i=j"}`,
			},
		},
		{
			"the longest prefix is first, whatever the order of the file",
			`location /a { return 301 /1; } location /a/b/c { return 301 /2; } location /a/b { return 301 /3; }`,
			[]string{
				`{"regexp":"^/a/b/c","status":301,"target":"/2"}`,
				`{"regexp":"^/a/b","status":301,"target":"/3"}`,
				`{"regexp":"^/a","status":301,"target":"/1"}`,
			},
		},
		{
			"expressions go before prefixes, but not before those with ^~ and what is in them",
			`location /a/ { return 301 /1; } location ~ x { return 301 /2; } location ^~ /b/ { return 301 /3; }`,
			[]string{
				`{"regexp":"^/b/","status":301,"target":"/3"}`,
				`{"regexp":"x","status":301,"target":"/2"}`,
				`{"regexp":"^/a/","status":301,"target":"/1"}`,
			},
		},
		{
			"what is rewritten is followed to its end",
			`rewrite ^/a/(.*)$ /b/$1; rewrite ^/b/(.*)$ /c/$1 last; location /c/ { rewrite ^/c/(.*)$ /d/$1 permanent; }`,
			[]string{
				`{"regexp":"^/a/(.*)$","status":301,"target":"/d/{1}"}`,
				`{"regexp":"^/b/(.*)$","status":301,"target":"/d/{1}"}`,
				`{"regexp":"^/c/(.*)$","status":301,"target":"/d/{1}"}`,
			},
		},
		{
			"a map is a rule for each line, and ignores case",
			"map $uri $new { default \"\"; /A /1; /2 /3; ~^/x/(\\d+)$ /y/$1; }\nserver { if ($new) { return 301 $new; } }",
			[]string{
				`{"path":"/A","ignore_case":true,"status":301,"target":"/1"}`,
				`{"path":"/2","status":301,"target":"/3"}`,
				`{"regexp":"^/x/(\\d+)$","status":301,"target":"/y/{1}"}`,
			},
		},
		{
			"$request_uri is the path as it came, and the whole query",
			"map $request_uri $new { /a?b=c /1; /d /2; ~^/e/(.*)$ /f/$1; ~^/g(\\?.*)?$ /h; }\nserver { if ($new) { return 301 $new; } }",
			[]string{
				`{"path":"/a","ignore_case":true,"query":{"b":"c"},"query_exact":true,"status":301,"target":"/1"}`,
				`{"path":"/d","ignore_case":true,"query_exact":true,"status":301,"target":"/2"}`,
				`{"regexp":"^/e/(.*)$","status":301,"target":"/f/{1}"}`,
				`{"regexp":"^/g$","status":301,"target":"/h"}`,
			},
		},
		{
			"conditions on header, method, cookie and parameter",
			`if ($http_x_a = b) { return 301 /1; } if ($request_method != GET) { return 307 /2; }
			 if ($cookie_c ~* ^d) { return 301 /3; } if ($arg_e = 5) { return 301 /4; } if ($arg_f) { return 301 /5; }`,
			[]string{
				`{"when":[{"on":"header:x-a","equals":"b"}],"status":301,"target":"/1"}`,
				`{"when":[{"on":"method","equals":"GET","not":true}],"status":307,"target":"/2"}`,
				`{"when":[{"on":"cookie:c","regexp":"(?i)^d"}],"status":301,"target":"/3"}`,
				`{"query":{"e":"5"},"status":301,"target":"/4"}`,
				`{"when":[{"on":"query:f","equals":"0","not":true},{"on":"query:f"}],"status":301,"target":"/5"}`,
			},
		},
		{
			"what is set is known later",
			`set $to /new; set $n ""; if ($request_method = POST) { set $n P; } if ($n = P) { return 307 $to; } return 301 $to$n;`,
			[]string{
				`{"methods":["POST"],"status":307,"target":"/new"}`,
				`{"status":301,"target":"/new"}`,
			},
		},
		{
			"a host from the request may lead to the server's names only",
			`server { listen 80; server_name a.example b.example; return 301 https://$host$request_uri; }`,
			[]string{`{"scheme":"http","status":301,"target":"https://{host}{path}","origins":["https://a.example","https://b.example"]}`},
		},
		{
			"the name is written out where there is but one",
			`server { listen 80; server_name a.example; return 301 https://$host/; } server { listen 80 default_server; return 404; }`,
			[]string{`{"scheme":"http","hosts":["a.example"],"status":301,"target":"https://a.example/"}`},
		},
		{
			"servers by scheme and name: exact, wildcard, expression, default",
			`server { listen 80; server_name *.b.example; return 301 /2; } server { listen 80; server_name a.b.example; return 301 /1; }
			 server { listen 80; server_name ~^(?<n>\d+)\.c\.example$; return 301 /3/$n; } server { listen 443 ssl; return 301 /5; }
			 server { listen 80 default_server; return 301 /4; }`,
			[]string{
				`{"scheme":"http","hosts":["a.b.example"],"status":301,"target":"/1"}`,
				`{"scheme":"http","hosts":["*.b.example"],"status":301,"target":"/2"}`,
				`{"scheme":"http","when":[{"on":"host","regexp":"(?i)^(?P<n>\\d+)\\.c\\.example$"}],"status":301,"target":"/3/{n|keep}"}`,
				`{"scheme":"http","status":301,"target":"/4"}`,
				`{"scheme":"https","status":301,"target":"/5"}`,
			},
		},
		{
			"a location that passes requests on adds the slash",
			`location /a/ { proxy_pass http://127.0.0.1; } location /b/ { return 301 /c; }`,
			[]string{`{"path":"/a","status":301,"target":"/a/"}`, `{"regexp":"^/b/","status":301,"target":"/c"}`},
		},
		{
			"try_files asks the app first",
			`location / { try_files $uri @old; } location @old { rewrite ^/a$ /b permanent; }`,
			[]string{`{"regexp":"^/a$","status":301,"target":"/b","missing":true}`},
		},
		{
			"a capture behind a host gets its slash",
			`rewrite ^(/a/.*)/z$ https://b.example$1 permanent; rewrite ^(.*)$ https://c.example$1 permanent;`,
			[]string{
				`{"regexp":"^/(a/.*)/z$","status":301,"target":"https://b.example/{1}"}`,
				`{"status":301,"target":"https://c.example{decoded_path}"}`,
			},
		},
		{
			"a capture behind a host that comes twice",
			`rewrite ^(/a/.*)/z$ https://b.example$1?from=$1 permanent;`,
			[]string{`{"regexp":"^(/a/.*)/z$","status":301,"target":"https://b.example{1}?from={1|nginx}","target_query":"append","origins":["https://b.example"]}`},
		},
		{
			"braces and stars are no placeholders",
			`location = "/a{b}*" { return 301 "/c{d}"; }`,
			[]string{`{"path":"/a%7Bb%7D%2A","status":301,"target":"/c%7Bd%7D"}`},
		},
		{
			"a query that is a part of the target is escaped",
			`rewrite ^/find/(.*)$ /s?q=$1 permanent; return 302 /login?next=$request_uri;`,
			[]string{
				`{"regexp":"^/find/(.*)$","status":301,"target":"/s?q={1|nginx}","target_query":"append"}`,
				`{"status":302,"target":"/login?next={path}{?query}"}`,
			},
		},
		{
			"a negative lookahead behind a fixed text is a condition of its own",
			`rewrite ^/(?!(api|img)/)(.*)$ /x/$2 permanent; location ~* ^/b(?!c)(?!d) { return 301 /e; }`,
			[]string{
				`{"regexp":"^/()(.*)$","when":[{"on":"path","regexp":"^/(?:(api|img)/)","not":true}],"status":301,"target":"/x/{2}"}`,
				`{"regexp":"^/b","ignore_case":true,"when":[{"on":"path","regexp":"(?i)^/b(?:c)","not":true},{"on":"path","regexp":"(?i)^/b(?:d)","not":true}],"status":301,"target":"/e"}`,
			},
		},
		{"gone is 410", `location /a { return 410; }`, []string{`{"regexp":"^/a","status":410}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := importText(t, tt.in, Options{})
			got := lines(res)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
			for _, n := range res.Notes {
				if n.Kind == Dropped {
					t.Errorf("dropped: %s", n)
				}
			}
		})
	}
}

func TestNginxNotes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string // want: line, kind and part of the reason
	}{
		{"lookahead in a branch", "rewrite ^/(?!a)b|^/c /d permanent;", "1 dropped negative lookahead"},
		{"lookahead", "\nrewrite ^/(.*)(?!api)$ /x/$1 permanent;", "2 dropped negative lookahead"},
		{"a lookbehind in a location", "location ~ (?<!a)b { return 301 /; }", "1 dropped negative lookbehind"},
		{"a backreference in a map", "map $uri $m {\n\n~(a)\\1 /b;\n}\nserver { if ($m) { return 301 $m; } }", "3 dropped a backreference"},
		{"a variable of a module", "if ($geoip_country_code = DE) { return 302 /de; }", "1 dropped $geoip_country_code is not known"},
		{"a file on the disk", "if (-f /srv/off) { return 302 /off; }", "1 dropped a file"},
		{"the disk is not asked", "if (!-f $request_filename) { return 302 /off; }", "1 changed the app is asked"},
		{"a host that nobody named", "server { listen 80; return 301 https://$host/; }", "1 dropped --origin, or which host the file is for with --host"},
		{"another answer", "location /a { return 403; }\nlocation / { return 301 /b; }", "1 changed the answer 403"},
		{"a status without a target", "return 301;", "1 dropped without a target"},
		{"code", "content_by_lua_block { if a then ngx.redirect(\"/x\") end }", "1 dropped code"},
		{"errors that redirect", "error_page 404 =301 /x;", "1 dropped in place of an error"},
		{"a location that errors lead to", "error_page 404 = @gone;\nlocation @gone { return 302 /x; }", "2 dropped in place of an error"},
		{"an internal location", "location /in { internal; return 302 /x; }", "1 dropped in place of an error"},
		{"a location after a rewrite that cannot be followed", "rewrite ^/a/(.*)/b$ /$1/d;\nlocation /c { return 301 /e; }", "2 dropped they pass"},
		{"a file that is not there", "include redirects.conf;", "1 dropped included"},
		{"another port", "server { listen 80; return 301 /a; }\nserver { listen 8080; return 301 /b; }", "2 dropped port 8080"},
		{"a host of another alphabet", "server { server_name bücher.example; return 301 /a; }", "1 dropped xn--"},
		{"a port in a comparison", "if ($http_host = a.example) { return 301 /a; }", "1 changed without its port"},
		{"a query that would come twice", "rewrite ^/a$ https://b.example$request_uri permanent;", "1 changed twice"},
		{"a host with its port in a target", "server { listen 80; server_name a.example b.example; return 301 https://$http_host/x; }", "1 changed without its port"},
		{"an expression that could", "if ($request_uri ~ ^/a/([^/]+)/?$) { return 301 /b/$1; }", "1 changed a part of the query"},
		{"an expression that takes in path and query", "if ($request_uri ~ [?&]id=1) { return 301 /a; }", "1 dropped path and query"},
		{"a rewrite after one that cannot be followed", "rewrite ^/a/(.*)/b$ /c/$1/d;\nrewrite ^/c/e/(.*)$ /f permanent;", "2 dropped they pass"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, n := range importText(t, tt.in, Options{}).Notes {
				got = append(got, fmt.Sprintf("%d %s %s", n.Line, n.Kind, n.Reason))
				line, rest, _ := strings.Cut(tt.want, " ")
				kind, reason, _ := strings.Cut(rest, " ")
				if fmt.Sprint(n.Line) == line && n.Kind.String() == kind && strings.Contains(n.Reason, reason) {
					return
				}
			}
			t.Errorf("got %q, want %q", got, tt.want)
		})
	}
}

// Where something is dropped, no later rule may take its requests by accident
// and no rule may come of it.
func TestNginxDroppedTargetPasses(t *testing.T) {
	t.Parallel()
	res := importText(t, "location /a { return 301 /$geoip_city; } location / { return 301 /b; }", Options{})
	if got := lines(res); len(got) != 2 || got[0] != `{"regexp":"^/a","intent":"pass"}` {
		t.Errorf("rules %v", got)
	}
}

func TestNginxSyntax(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"no end of a directive", "return 301 /a", `line 1:14: directive "return" is not ended`},
		{"no end of a block", "server {\n return 301 /a;\n", `line 3:1: unexpected end`},
		{"one end too many", "server { }\n}", `line 2:1: unexpected '}'`},
		{"an open quote", "return 301 \"/a;\n", "line 1:12: a quoted text"},
		{"text right behind a quote", `return 301 "/a"b;`, "line 1:16: want a space"},
		{"a map's line with three words", "map $uri $a { /a /b /c; }", "line 1:18: want a key"},
		{"too deep", strings.Repeat("a {", 100), "deeper"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Import(Nginx, "f", strings.NewReader(tt.in), Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNginxWords(t *testing.T) {
	t.Parallel()
	const in = "\ufeff# comment\r\nlocation = '/a b' { return 301 \"/c\\\"d\"; } # more\r\nlocation = /x\\ty {return 302 '/#';}\r\nif ($a ~ \\.x$){return 301 /y;}"
	res := importText(t, in, Options{})
	want := []string{
		`{"path":"/a%20b","status":301,"target":"/c\"d"}`,
		`{"path":"/x%09y","status":302,"target":"/#"}`,
	}
	if got := lines(res); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNginxIncludes(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"conf.d/b.conf":   {Data: []byte("location = /b { return 301 /2; }")},
		"conf.d/a.conf":   {Data: []byte("location = /a { return 301 /1; }\nlocation = /bad { return 301 /$geoip_x; }")},
		"redirects.map":   {Data: []byte("/m /3;\n/n /4;")},
		"etc/nginx/x":     {Data: []byte("include x;")},
		"a/mime.types":    {Data: []byte("types { }")},
		"folder/keep.txt": {Data: []byte("")},
	}
	const in = "map $uri $m { include redirects.map; }\nserver { include /etc/nginx/conf.d/*.conf; include mime.types; if ($m) { return 301 $m; } }"
	res := importText(t, in, Options{Files: files})
	var targets []string
	for _, r := range res.Rules {
		targets = append(targets, r.Path+r.Target)
	}
	if got := strings.Join(targets, " "); got != "/m/3 /n/4 /a/1 /b/2" {
		t.Errorf("rules %q", got)
	}
	if len(res.Notes) != 1 || res.Notes[0].File != "conf.d/a.conf" || res.Notes[0].Line != 2 {
		t.Errorf("notes %v", res.Notes)
	}
	_, err := Import(Nginx, "f", strings.NewReader("include x;"), Options{Files: files})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file that includes itself: %v", err)
	}
	if res := importText(t, "include folder;", Options{Files: files}); len(res.Notes) != 1 {
		t.Errorf("a folder in place of a file: notes %v", res.Notes)
	}
}

func TestNginxOrigins(t *testing.T) {
	t.Parallel()
	const in = "server { listen 80 default_server; return 301 https://$host$request_uri; }"
	res := importText(t, in, Options{Origins: []string{"https://a.example"}})
	if got := lines(res); len(got) != 1 || !strings.Contains(got[0], `"origins":["https://a.example"]`) {
		t.Errorf("rules %v", got)
	}
}

// A map of a million lines becomes a million rules, one at a time.
func TestNginxStreams(t *testing.T) {
	t.Parallel()
	n := 200_000
	var b strings.Builder
	b.WriteString("map $request_uri $new { default \"\";\n")
	for i := range n {
		fmt.Fprintf(&b, "/old/page-%d.html /new/%d;\n", i, i)
	}
	b.WriteString("}\nserver { server_name a.example; if ($new) { return 301 $new; } location / { proxy_pass http://127.0.0.1; } }")
	count, mode := 0, rule.Specific
	res, err := Import(Nginx, "f", strings.NewReader(b.String()), Options{
		Begin: func(m rule.Mode) { mode = m },
		Add: func(r *rule.Rule) error {
			if r.Pos.Line != count+2 || r.Target != fmt.Sprintf("/new/%d", count) || len(r.When) > 0 {
				return fmt.Errorf("rule %d: %+v", count, r)
			}
			count++
			return nil
		},
	})
	if err != nil || count != n || res.Count != n || len(res.Rules) != 0 || mode != rule.FileOrder {
		t.Fatalf("%d rules of %d, mode %v: %v", count, n, mode, err)
	}
}

func TestNginxAddEndsTheImport(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	_, err := Import(Nginx, "f", strings.NewReader("return 301 /a;"), Options{Add: func(*rule.Rule) error { return stop }})
	if !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// Conditions that all have to be told apart are bounded.
func TestNginxTooManyCases(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 18 {
		fmt.Fprintf(&b, "if ($http_x%d) { set $a%d 1; }\n", i, i)
	}
	_, err := Import(Nginx, "f", strings.NewReader(b.String()+"return 301 /a;"), Options{})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// Every rule of every example is valid and has a place.
func TestNginxExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/nginx/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		res := importText(t, string(text), Options{})
		if len(res.Rules) == 0 || res.Count != len(res.Rules) || res.Lines != strings.Count(string(text), "\n") {
			t.Errorf("%s: %d rules, %d lines", file, res.Count, res.Lines)
		}
		for i := range res.Rules {
			if err := res.Rules[i].Validate(); err != nil || res.Rules[i].Pos.Line == 0 {
				t.Errorf("%s: rule %d at %s: %v", file, i+1, res.Rules[i].Pos, err)
			}
		}
	}
}

func FuzzImportNginx(f *testing.F) {
	files, _ := filepath.Glob("testdata/nginx/*.conf")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(text) < 8<<10 {
			f.Add(string(text))
		}
	}
	f.Add("map $host$uri $a { hostnames; *.b /c; ~(x)\\d+ $1; } server { if ($a !~* \"(y)\") { rewrite (.*) $1?; } }")
	place := regexp.MustCompile(`^line \d+:\d+: `)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 || strings.Count(text, "if") > 8 || strings.Count(text, "map") > 4 {
			return
		}
		res, err := Import(Nginx, "f", strings.NewReader(text), Options{})
		if err != nil {
			var syntax *syntaxError
			if errors.As(err, &syntax) && !place.MatchString(syntax.Error()) {
				t.Fatal(err)
			}
			return
		}
		b := rule.NewBuilder(rule.Options{})
		b.Begin("f", res.Mode)
		for i := range res.Rules {
			if err := b.Add(&res.Rules[i]); err != nil {
				t.Fatalf("rule %d: %+v: %v", i, res.Rules[i], err)
			}
		}
		for _, n := range res.Notes {
			if n.Reason == "" || n.Line == 0 {
				t.Fatalf("note without a reason or a line: %+v", n)
			}
		}
	})
}

// What comes of configurations that were damaged is an error, or valid rules.
func TestNginxDamaged(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/nginx/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	var seeds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) < 4<<10 {
			seeds = append(seeds, string(text))
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 1500 {
		text := damaged(r, seeds)
		res, err := Import(Nginx, "f", strings.NewReader(text), Options{})
		if err != nil {
			continue
		}
		for i := range res.Rules {
			if err := res.Rules[i].Validate(); err != nil {
				t.Fatalf("rule %d of\n%s\n%v", i+1, text, err)
			}
		}
	}
}

// damaged is one of the texts with lines and pieces of others, and signs more
// or less.
func damaged(r *rand.Rand, seeds []string) string {
	text := seeds[r.IntN(len(seeds))]
	for range 1 + r.IntN(8) {
		i := r.IntN(len(text))
		other := seeds[r.IntN(len(seeds))]
		k := r.IntN(len(other))
		switch r.IntN(4) {
		case 0:
			text = text[:i] + text[min(len(text), i+1+r.IntN(8)):] + " "
		case 1:
			text = text[:i] + other[k:min(len(other), k+r.IntN(60))] + text[i:]
		case 2:
			text = text[:i] + string("{};()[]$~*?\\/^. "[r.IntN(16)]) + text[i:]
		case 3:
			all, from := strings.Split(text, "\n"), strings.Split(other, "\n")
			all[r.IntN(len(all))] += "\n" + from[r.IntN(len(from))]
			text = strings.Join(all, "\n")
		}
	}
	return text
}
