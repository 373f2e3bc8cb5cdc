package importer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seeother/seeother/rule"
)

// refusedLine is the rule that every import from Apache begins with.
const refusedLine = `{"regexp":"%2F","intent":"pass","note":"Apache answers an encoded slash with 404 (AllowEncodedSlashes Off)"}`

// imported are the rules as JSON, without the first, and the notes.
func imported(t *testing.T, f Format, text string, o Options) (rules, notes []string) {
	t.Helper()
	res, err := Import(f, "file", strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	b := rule.NewBuilder(rule.Options{})
	b.Begin("file", res.Mode)
	for i := range res.Rules {
		if err := b.Add(&res.Rules[i]); err != nil {
			t.Errorf("rule %d: %v", i+1, err)
		}
		made, err := json.Marshal(&res.Rules[i])
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(made))
		rules = append(rules, plain)
	}
	for _, n := range res.Notes {
		notes = append(notes, fmt.Sprintf("%d: %s: %s", n.Line, n.Kind, n.Reason))
	}
	if len(rules) > 0 && rules[0] == refusedLine {
		rules = rules[1:]
	}
	return rules, notes
}

type apacheCase struct {
	name  string
	text  string
	rules []string
	notes []string
}

func (c *apacheCase) run(t *testing.T, f Format, o Options) {
	t.Run(c.name, func(t *testing.T) {
		rules, notes := imported(t, f, c.text, o)
		if !slices.Equal(rules, c.rules) {
			t.Errorf("rules:\n%s\nwant:\n%s", strings.Join(rules, "\n"), strings.Join(c.rules, "\n"))
		}
		if !slices.Equal(notes, c.notes) {
			t.Errorf("notes:\n%s\nwant:\n%s", strings.Join(notes, "\n"), strings.Join(c.notes, "\n"))
		}
	})
}

var aliasCases = []apacheCase{
	{
		"a Redirect is for the path and what is below, with 302 where it says no status",
		"Redirect /old /new",
		[]string{
			`{"path":"/old","decoded":true,"status":302,"target":"/new"}`,
			`{"path":"/old/*","decoded":true,"status":302,"target":"/new/{*|apache}"}`,
		},
		nil,
	},
	{
		"a path with a slash at its end is for what is below alone",
		"Redirect permanent /old/ https://example.com/new/",
		[]string{`{"path":"/old/*","decoded":true,"when":[{"on":"path","equals":"/old","not":true}],"status":301,"target":"https://example.com/new/{*|apache}"}`},
		nil,
	},
	{
		"the words and numbers of a status",
		"Redirect temp /a /1\nRedirect seeother /b/ /2/\nRedirect 308 /c/ /3/\nRedirectPermanent /d/ /4/\nRedirectTemp /e/ /5/",
		[]string{
			`{"path":"/a","decoded":true,"status":302,"target":"/1"}`,
			`{"path":"/a/*","decoded":true,"status":302,"target":"/1/{*|apache}"}`,
			`{"path":"/b/*","decoded":true,"when":[{"on":"path","equals":"/b","not":true}],"status":303,"target":"/2/{*|apache}"}`,
			`{"path":"/c/*","decoded":true,"when":[{"on":"path","equals":"/c","not":true}],"status":308,"target":"/3/{*|apache}"}`,
			`{"path":"/d/*","decoded":true,"when":[{"on":"path","equals":"/d","not":true}],"status":301,"target":"/4/{*|apache}"}`,
			`{"path":"/e/*","decoded":true,"when":[{"on":"path","equals":"/e","not":true}],"status":302,"target":"/5/{*|apache}"}`,
		},
		nil,
	},
	{
		"gone has no target",
		"Redirect gone /x\nRedirectMatch 410 \\.cgi$",
		[]string{
			`{"path":"/x/*","decoded":true,"status":410}`,
			`{"regexp":"\\.cgi$","decoded":true,"status":410}`,
		},
		nil,
	},
	{
		"another status lets the request pass, and is noted",
		"Redirect 404 /x",
		[]string{`{"path":"/x/*","decoded":true,"intent":"pass"}`},
		[]string{"1: changed: Apache answers 404 itself: the request goes to the app"},
	},
	{
		"the whole site, with and without the slash behind the host",
		"Redirect / https://a.example/\nRedirect / https://b.example",
		[]string{
			`{"path":"/*","decoded":true,"status":302,"target":"https://a.example/{*|apache}"}`,
			`{"path":"/*","decoded":true,"status":302,"target":"https://b.example/{*|apache}"}`,
		},
		[]string{"2: changed: Apache would put what follows right behind the host: taken with the slash between"},
	},
	{
		"a target that ends in the host's slash gets no second one",
		"Redirect /old https://a.example/",
		[]string{
			`{"path":"/old","decoded":true,"status":302,"target":"https://a.example/"}`,
			`{"path":"/old/*","decoded":true,"status":302,"target":"https://a.example/{*|apache}"}`,
		},
		[]string{"1: changed: Apache would put two slashes behind the host: taken with one"},
	},
	{
		"quotes, a literal percent sign and a star",
		`Redirect gone "/a b%20*{c}"`,
		[]string{`{"path":"/a%20b%2520%2A%7Bc%7D/*","decoded":true,"status":410}`},
		nil,
	},
	{
		"a literal RedirectMatch is an exact path, and its groups are text",
		`RedirectMatch 301 ^/(old)/page\.html$ /new/$1/$0`,
		[]string{`{"path":"/old/page.html","decoded":true,"status":301,"target":"/new/old//old/page.html"}`},
		nil,
	},
	{
		"a backslash in the target of a RedirectMatch, a query and a fragment",
		`RedirectMatch ^/a/(.*)$ /b%20c/\$1/$1?q=$1#f`,
		[]string{`{"regexp":"^/a/(.*)$","decoded":true,"status":302,"target":"/b%2520c/$1/{1|apache}?q={1|keep}#f"}`},
		nil,
	},
	{
		"case is in the expression",
		`RedirectMatch (?i)^/Old$ /new`,
		[]string{`{"path":"/old","decoded":true,"ignore_case":true,"status":302,"target":"/new"}`},
		nil,
	},
	{
		"what can never match, or is no redirect, is noted",
		"Redirect old /new\nRedirect bogus /a /b\nRedirect 301 /a\nRedirect /a b\nRedirect /a ftp://x/\nRedirectMatch ^old /x\nRedirectMatch ^/a(?!b)c /x\nRedirect /a /b /c /d",
		nil,
		[]string{
			"1: dropped: it never matches: the path does not begin with a slash",
			`2: dropped: status "bogus" is unknown`,
			"3: dropped: want a path and a URL",
			`4: dropped: target "b": want a path or a URL`,
			`5: dropped: target "ftp://x/": want http or https`,
			"6: dropped: it never matches: a path begins with a slash",
			"7: dropped: RE2 cannot do it: lookahead",
			`8: dropped: status "/a" is unknown`,
		},
	},
	{
		"in a Location it is for that path too, and may have none of its own",
		"<Location /x>\nRedirect 301 /x/y /z\nRedirect https://e.example/\n</Location>\n<Location /gone/>\nRedirect gone\n</Location>",
		[]string{
			`{"path":"/*","decoded":true,"when":[{"on":"path","regexp":"^/gone/"}],"status":410}`,
			`{"path":"/*","decoded":true,"when":[{"on":"path","regexp":"^/x(?:/|$)"}],"status":302,"target":"https://e.example/"}`,
			`{"path":"/x/y","decoded":true,"when":[{"on":"path","regexp":"^/x(?:/|$)"}],"status":301,"target":"/z"}`,
			`{"path":"/x/y/*","decoded":true,"when":[{"on":"path","regexp":"^/x(?:/|$)"}],"status":301,"target":"/z/{*|apache}"}`,
		},
		nil,
	},
	{
		"what is in other sections is noted",
		"<If \"%{HTTPS} == 'on'\">\nRedirect /a /b\n</If>\n<Files x>\nRewriteRule ^a b [R]\n</Files>\n<Location \"/*.x\">\nRedirect /a /b\n</Location>\n<Directory /srv>\nRedirect /a /b\n</Directory>\nInclude other.conf",
		nil,
		[]string{
			"2: dropped: in <If>, which is not taken over",
			"5: dropped: in <Files>, which is not taken over",
			"8: dropped: in a <Location> with wildcards or a whole URL, which is not taken over",
			"11: dropped: in a <Directory> whose URL is not known: it is not in the DocumentRoot",
			"13: dropped: the file is not read: import it too, or give its folder",
		},
	},
	{
		"a rewrite, a proxy and then the Redirects of the server",
		"Redirect /app/x /y\nProxyPass /app/no !\nProxyPass /app http://127.0.0.1/\nRewriteEngine On\nRewriteRule ^/app/x/r$ /z [R=301,L]",
		[]string{
			`{"path":"/app/x/r","decoded":true,"status":301,"target":"/z"}`,
			`{"path":"/app/*","decoded":true,"when":[{"on":"path","regexp":"^/app/no(?:/|$)","not":true}],"intent":"pass"}`,
			`{"path":"/app/x","decoded":true,"status":302,"target":"/y"}`,
			`{"path":"/app/x/*","decoded":true,"status":302,"target":"/y/{*|apache}"}`,
		},
		nil,
	},
	{
		"an error page elsewhere is for what the app does not have",
		"ErrorDocument 404 https://help.example/",
		[]string{`{"path":"/*","decoded":true,"methods":["GET","HEAD","POST"],"status":302,"target":"https://help.example/","target_query":"drop","missing":true}`},
		[]string{"1: changed: the app is asked first: what it answers with 404 is redirected, unless another line lets the request pass"},
	},
	{
		"a byte order mark, carriage returns, a continued line, comments, Define and IfModule",
		"\ufeffDefine NEW /new\r\n# Redirect /no \\\r\n  /no\r\n<IfModule mod_alias.c>\r\n  Redirect gone \\\r\n  ${NEW}\r\n</IfModule>\r\n<IfModule !mod_alias.c>\r\nRedirect gone /never\r\n</IfModule>\r\n",
		[]string{`{"path":"/new/*","decoded":true,"status":410}`},
		nil,
	},
	{
		"NUL, sections that do not fit, and server settings that change paths",
		"Redirect gone /a\x00b\n</Location>\nMergeSlashes Off\nUseCanonicalName On\n<Location /x>",
		nil,
		[]string{
			"1: dropped: the line has a NUL byte",
			"2: dropped: closes a section that is not open",
			"3: changed: two slashes in a row count as one here",
			"4: changed: relative targets lead to ServerName in Apache: here they stay on the host that was asked for",
			"5: changed: the section is not closed: the end of the file counts as its end",
		},
	},
}

func TestApacheTakesOverRedirects(t *testing.T) {
	for i := range aliasCases {
		aliasCases[i].run(t, Apache, Options{})
	}
}

func TestAllowEncodedSlashesTakesTheFirstRuleAway(t *testing.T) {
	res, err := Import(Apache, "f", strings.NewReader("AllowEncodedSlashes NoDecode\nRedirect gone /x"), Options{})
	if err != nil || len(res.Rules) != 1 || len(res.Notes) != 1 {
		t.Fatalf("%v %+v", err, res)
	}
}

const engine = "RewriteEngine On\n"

var rewriteCases = []apacheCase{
	{
		"R is 302, a literal pattern is an exact path, and the query goes along",
		engine + "RewriteRule ^/old\\.html$ /new [R,L]",
		[]string{`{"path":"/old.html","decoded":true,"status":302,"target":"/new"}`},
		nil,
	},
	{
		"the words of R, a slash that may be there, and NC",
		engine + "RewriteRule ^/a/?$ /b [R=permanent,L]\nRewriteRule ^/c$ /d [R=seeother,NC,L]\nRewriteRule ^/e$ http://e.example/ [L]",
		[]string{
			`{"path":"/a","decoded":true,"ignore_slash":true,"status":301,"target":"/b"}`,
			`{"path":"/c","decoded":true,"ignore_case":true,"status":303,"target":"/d"}`,
			`{"path":"/e","decoded":true,"status":302,"target":"http://e.example/"}`,
		},
		nil,
	},
	{
		"the query is replaced, appended with QSA, dropped by ? and QSD",
		engine + "RewriteRule ^/a$ /b?x=1 [R]\nRewriteRule ^/c$ /d?x=1 [R,QSA]\nRewriteRule ^/e$ /f? [R]\nRewriteRule ^/g$ /h [R,QSD]\nRewriteRule ^/i$ /j?%{QUERY_STRING} [R]\nRewriteRule ^/k$ /l?x=1&%{QUERY_STRING} [R]",
		[]string{
			`{"path":"/a","decoded":true,"status":302,"target":"/b?x=1"}`,
			`{"path":"/c","decoded":true,"status":302,"target":"/d?x=1","target_query":"append"}`,
			`{"path":"/e","decoded":true,"status":302,"target":"/f","target_query":"drop"}`,
			`{"path":"/g","decoded":true,"status":302,"target":"/h","target_query":"drop"}`,
			`{"path":"/i","decoded":true,"status":302,"target":"/j"}`,
			`{"path":"/k","decoded":true,"status":302,"target":"/l?x=1","target_query":"append"}`,
		},
		nil,
	},
	{
		"what is escaped, and what is not with NE and with B",
		engine + `RewriteRule ^/a/(.*)$ /b\%20c#d/$1 [R]` + "\n" + `RewriteRule ^/e/(.*)$ /f\%20g#$1 [R,NE]` + "\n" + `RewriteRule ^/h/(.*)$ /i?q=$1 [R,B,NE]`,
		[]string{
			`{"regexp":"^/a/(.*)$","decoded":true,"status":302,"target":"/b%2520c%23d/{1|apache}"}`,
			`{"regexp":"^/e/(.*)$","decoded":true,"status":302,"target":"/f%20g#{1|keep}"}`,
			`{"regexp":"^/h/(.*)$","decoded":true,"status":302,"target":"/i?q={1|component}"}`,
		},
		nil,
	},
	{
		"the whole path as $1, $0 and REQUEST_URI",
		engine + "RewriteRule ^(.*)$ https://e.example$1 [R=301,L]\nRewriteRule ^/(.*)$ https://e.example/x/$1 [R=301,L]\nRewriteRule .* https://e.example/y$0 [R=301,L]\nRewriteRule ^ https://e.example%{REQUEST_URI} [R=301,L]",
		[]string{
			`{"path":"/*","decoded":true,"status":301,"target":"https://e.example{decoded_path|apache}"}`,
			`{"path":"/*","decoded":true,"status":301,"target":"https://e.example/x/{*|apache}"}`,
			`{"path":"/*","decoded":true,"status":301,"target":"https://e.example/y{decoded_path|apache}"}`,
			`{"path":"/*","decoded":true,"status":301,"target":"https://e.example{decoded_path|apache}"}`,
		},
		nil,
	},
	{
		"a pattern that must not match",
		engine + "RewriteRule !^/app/ /app/ [R,L]\nRewriteRule !^/x$ - [F]",
		[]string{
			`{"path":"/*","decoded":true,"when":[{"on":"path","regexp":"^/app/","not":true}],"status":302,"target":"/app/"}`,
			`{"when":[{"on":"path","equals":"/x","not":true}],"intent":"pass"}`,
		},
		[]string{"3: changed: Apache answers 403 itself: the request goes to the app"},
	},
	{
		"G is 410, and a lookahead after ^ becomes a condition",
		engine + "RewriteRule ^/x - [G]\nRewriteRule ^(?!/blog/)(.*)\\.php$ $1 [R=301,L]",
		[]string{
			`{"regexp":"^/x","decoded":true,"status":410}`,
			`{"regexp":"^(.*)\\.php$","decoded":true,"when":[{"on":"path","regexp":"^(?:/blog/)","not":true}],"status":301,"target":"{1|apache}"}`,
		},
		nil,
	},
	{
		"a literal query becomes one that the index finds",
		engine + "RewriteCond %{QUERY_STRING} ^id=123$\nRewriteRule ^/p\\.php$ /products/boots? [R=301,L]\nRewriteCond %{QUERY_STRING} ^id=(\\d+)$\nRewriteRule ^/p\\.php$ /products/%1? [R=301,L]",
		[]string{
			`{"path":"/p.php","decoded":true,"when":[{"on":"query","equals":"id=123"}],"status":301,"target":"/products/boots","target_query":"drop"}`,
			`{"path":"/p.php","decoded":true,"when":[{"on":"query","regexp":"^id=(?P<c1>\\d+)$"}],"status":301,"target":"/products/{c1|keep}","target_query":"drop"}`,
		},
		nil,
	},
	{
		"the scheme in its four spellings",
		engine + "RewriteCond %{HTTPS} off\nRewriteRule ^/a$ /1 [R,L]\nRewriteCond %{HTTPS} !=on\nRewriteRule ^/b$ /2 [R,L]\nRewriteCond %{SERVER_PORT} !^443$\nRewriteRule ^/c$ /3 [R,L]\nRewriteCond %{REQUEST_SCHEME} =https\nRewriteRule ^/d$ /4 [R,L]\nRewriteCond %{SERVER_PORT} \"-eq 443\"\nRewriteRule ^/e$ /5 [R,L]",
		[]string{
			`{"scheme":"http","path":"/a","decoded":true,"status":302,"target":"/1"}`,
			`{"scheme":"http","path":"/b","decoded":true,"status":302,"target":"/2"}`,
			`{"scheme":"http","path":"/c","decoded":true,"status":302,"target":"/3"}`,
			`{"scheme":"https","path":"/d","decoded":true,"status":302,"target":"/4"}`,
			`{"scheme":"https","path":"/e","decoded":true,"status":302,"target":"/5"}`,
		},
		nil,
	},
	{
		"%1 of the scheme, and the scheme in the target",
		engine + "RewriteCond %{HTTPS}s ^on(s)|\nRewriteRule ^/a$ http%1://e.example/a [R,L]\nRewriteRule ^/b$ %{REQUEST_SCHEME}://e.example/b [R,L]",
		[]string{
			`{"scheme":"http","path":"/a","decoded":true,"status":302,"target":"http://e.example/a"}`,
			`{"scheme":"https","path":"/a","decoded":true,"status":302,"target":"https://e.example/a"}`,
			`{"path":"/b","decoded":true,"status":302,"target":"{scheme}://e.example/b","origins":["http://e.example","https://e.example"]}`,
		},
		nil,
	},
	{
		"hosts that can be counted are hosts of the rule, others are conditions",
		engine + "RewriteCond %{HTTP_HOST} ^(www\\.)?(a|b)\\.example$ [NC]\nRewriteRule ^/x$ /1 [R,L]\nRewriteCond %{HTTP_HOST} =old.example [OR]\nRewriteCond %{HTTP_HOST} ^older\\.example$\nRewriteRule ^/y$ /2 [R,L]\nRewriteCond %{HTTP_HOST} !^www\\. [NC]\nRewriteRule ^/z$ /3 [R,L]\nRewriteCond %{SERVER_NAME} !^c\\.example$\nRewriteRule ^/z$ /4 [R,L]",
		[]string{
			`{"hosts":["a.example","b.example","www.a.example","www.b.example"],"path":"/x","decoded":true,"status":302,"target":"/1"}`,
			`{"hosts":["old.example","older.example"],"path":"/y","decoded":true,"status":302,"target":"/2"}`,
			`{"path":"/z","decoded":true,"when":[{"on":"host","regexp":"(?i)^www\\.","not":true}],"status":302,"target":"/3"}`,
			`{"path":"/z","decoded":true,"when":[{"on":"host","equals":"c.example","not":true}],"status":302,"target":"/4"}`,
		},
		nil,
	},
	{
		"methods, fields, cookies, alternatives",
		engine + "RewriteCond %{REQUEST_METHOD} =POST\nRewriteRule ^/a$ /1 [R=307,L]\nRewriteCond %{HTTP:X-Old} !^$\nRewriteCond %{HTTP_COOKIE} (^|;\\ *)lang=de\nRewriteCond %{HTTP_REFERER} ^$\nRewriteRule ^/b$ /2 [R,L]\nRewriteCond %{HTTP_USER_AGENT} bot [NC,OR]\nRewriteCond %{HTTP_USER_AGENT} ^curl\nRewriteRule ^/c$ /3 [R,L]\nRewriteCond %{REQUEST_METHOD} POST [OR]\nRewriteCond %{QUERY_STRING} .\nRewriteRule ^/d$ /4 [R,L]",
		[]string{
			`{"path":"/a","decoded":true,"when":[{"on":"method","equals":"POST"}],"status":307,"target":"/1"}`,
			`{"path":"/b","decoded":true,"when":[{"on":"header:X-Old","empty":true,"not":true},{"on":"header:Cookie","regexp":"(^|; *)lang=de"},{"on":"header:Referer","empty":true}],"status":302,"target":"/2"}`,
			`{"path":"/c","decoded":true,"when":[{"on":"header:User-Agent","regexp":"(?:(?i)bot)|(?:^curl)"}],"status":302,"target":"/3"}`,
			`{"path":"/d","decoded":true,"when":[{"on":"method","regexp":"POST"}],"status":302,"target":"/4"}`,
			`{"path":"/d","decoded":true,"when":[{"on":"query"}],"status":302,"target":"/4"}`,
		},
		nil,
	},
	{
		"texts are compared by length first",
		engine + "RewriteCond %{REQUEST_METHOD} >GET\nRewriteRule ^/a$ /1 [R,L]\nRewriteCond %{REQUEST_METHOD} <=PUT\nRewriteRule ^/b$ /2 [R,L]",
		[]string{
			`{"path":"/a","decoded":true,"when":[{"on":"method","regexp":"^.{4}|^[\\x{48}-\\x{7F}].{2}$|^G[\\x{46}-\\x{7F}].{1}$|^GE[\\x{55}-\\x{7F}].{0}$"}],"status":302,"target":"/1"}`,
			`{"path":"/b","decoded":true,"when":[{"on":"method","regexp":"^.{0,2}$|^[\\x{1}-\\x{4F}].{2}$|^P[\\x{1}-\\x{54}].{1}$|^PU[\\x{1}-\\x{53}].{0}$|^PUT$"}],"status":302,"target":"/2"}`,
		},
		nil,
	},
	{
		"the request line, as far as it can be taken apart",
		engine + "RewriteCond %{THE_REQUEST} ^[A-Z]{3,9}\\ /index\\.html\\ HTTP/\nRewriteRule ^/index\\.html$ / [R=301,L]\nRewriteCond %{THE_REQUEST} \\s/+(.+?)\\.php[\\s?] [NC]\nRewriteRule ^ /%1 [R=301,L]\nRewriteCond %{THE_REQUEST} ^POST\\ /form\nRewriteRule ^/form /f [R=307,L]\nRewriteCond %{THE_REQUEST} HTTP/1\\.0$\nRewriteRule ^/x$ /y [R,L]",
		[]string{
			`{"path":"/index.html","decoded":true,"when":[{"on":"path","equals":"/index.html"},{"on":"query","empty":true}],"status":301,"target":"/"}`,
			`{"path":"/*","decoded":true,"when":[{"on":"path","regexp":"(?i)^/(?P<c1>.+?)\\.php$"}],"status":301,"target":"/{c1|apache}"}`,
			`{"regexp":"^/form","decoded":true,"when":[{"on":"method","equals":"POST"},{"on":"path","regexp":"^/form"}],"status":307,"target":"/f"}`,
		},
		[]string{
			"3: changed: %{THE_REQUEST} holds the path as it came: compared with the decoded one",
			"5: changed: %{THE_REQUEST} holds the path as it came: compared with the decoded one",
			"7: changed: %{THE_REQUEST} holds the path as it came: compared with the decoded one",
			"9: dropped: condition in line 8: an expression for the whole request line that cannot be split into method, path and query",
		},
	},
	{
		"a rule without L, a chain, a skip, and rewrites that stay inside",
		engine + "RewriteRule ^/a$ /b [R]\nRewriteRule ^/c/ - [C]\nRewriteRule ^/c/d$ /e [R,L]\nRewriteRule ^/f - [S=1]\nRewriteRule ^/(f|g)$ /h [R,L]\nRewriteRule ^/i/(.*)$ /j/$1\nRewriteRule ^/j/(.*)\\.html$ /k/$1 [R,L]\nRewriteRule ^/l$ /m\nRewriteRule ^/m$ /n [R,L]",
		[]string{
			`{"path":"/a","decoded":true,"status":302,"target":"/b"}`,
			`{"path":"/c/d","decoded":true,"when":[{"on":"path","regexp":"^/c/"}],"status":302,"target":"/e"}`,
			`{"regexp":"^/(f|g)$","decoded":true,"when":[{"on":"path","regexp":"^/f","not":true}],"status":302,"target":"/h"}`,
			`{"regexp":"^/i/(.*)\\.html$","decoded":true,"status":302,"target":"/k/{1|apache}"}`,
			`{"regexp":"^/i/(.*)$","decoded":true,"intent":"pass"}`,
			`{"regexp":"^/j/(.*)\\.html$","decoded":true,"status":302,"target":"/k/{1|apache}"}`,
			`{"path":"/l","decoded":true,"status":302,"target":"/n"}`,
			`{"path":"/l","decoded":true,"intent":"pass"}`,
			`{"path":"/m","decoded":true,"status":302,"target":"/n"}`,
		},
		nil,
	},
	{
		"a rule without L that a later one may take further",
		engine + "RewriteRule ^/a$ /b [R]\nRewriteRule (.*)\\.php$ /c [L]\nRewriteRule ^/d$ /e [R,L]",
		[]string{
			`{"path":"/a","decoded":true,"status":302,"target":"/b"}`,
			`{"regexp":"(.*)\\.php$","decoded":true,"intent":"pass"}`,
			`{"path":"/d","decoded":true,"status":302,"target":"/e"}`,
		},
		[]string{"2: changed: it has no L, and a rule below may match what it leads to: taken as if it had L"},
	},
	{
		"a line that ends the list still leads to the Redirects",
		engine + "RewriteRule ^/files/ - [L]\nRewriteRule ^/(files|docs)/(.*)$ /d/$2 [R,L]\nRedirect /files/old /x\nRedirect /other /y",
		[]string{
			`{"path":"/files/old","decoded":true,"when":[{"on":"path","regexp":"^/files/"}],"status":302,"target":"/x"}`,
			`{"path":"/files/old/*","decoded":true,"when":[{"on":"path","regexp":"^/files/"}],"status":302,"target":"/x/{*|apache}"}`,
			`{"regexp":"^/files/","decoded":true,"intent":"pass"}`,
			`{"regexp":"^/(files|docs)/(.*)$","decoded":true,"status":302,"target":"/d/{2|apache}"}`,
			`{"path":"/files/old","decoded":true,"status":302,"target":"/x"}`,
			`{"path":"/files/old/*","decoded":true,"status":302,"target":"/x/{*|apache}"}`,
			`{"path":"/other","decoded":true,"status":302,"target":"/y"}`,
			`{"path":"/other/*","decoded":true,"status":302,"target":"/y/{*|apache}"}`,
		},
		nil,
	},
	{
		"what is not taken over is noted with the reason",
		engine + "RewriteRule ^old$ /new [R,L]\nRewriteRule ^/a(?<!b)$ /new [R,L]\nRewriteRule ^/(a)\\1$ /x [R]\nRewriteCond %{REMOTE_ADDR} ^10\\.\nRewriteRule ^/b$ /c [R]\nRewriteCond expr \"%{HTTPS} == 'on'\"\nRewriteRule ^/d$ /e [R]\nRewriteRule ^/f$ /g%{TIME_YEAR} [R]\nRewriteRule ^/h$ ftp://i.example/ [R]\nRewriteRule ^/j$ https://%{HTTP_HOST}/k [R]\nRewriteRule ^/l/(.*)$ https://$1/ [R]\nRewriteRule ^/m /n [R,XX]\nRewriteRule ^/o\nRewriteCond %{HTTPS} on\nRewriteOptions Inherit",
		nil,
		[]string{
			"2: dropped: it never matches: in server context a path begins with a slash",
			"3: dropped: RE2 cannot do it: negative lookbehind",
			"4: dropped: RE2 cannot do it: a backreference",
			"6: dropped: condition in line 5: %{REMOTE_ADDR} is not known here",
			"8: dropped: condition in line 7: an expression (expr) is not taken over",
			"9: dropped: %{TIME_YEAR} is not known here",
			`10: dropped: scheme "ftp": a target is http or https`,
			"11: dropped: the target's host comes from the request, and the file names none that it may be: say where it may lead with --origin, or which host the file is for with --host",
			"12: dropped: a part of the path or query stands in the target's host",
			`13: dropped: flag "XX" is unknown`,
			"14: dropped: want a pattern and a substitution",
			"15: dropped: no RewriteRule follows",
			"16: dropped: rules are not inherited here",
		},
	},
	{
		"without RewriteEngine nothing happens",
		"RewriteRule ^/a$ /b [R]",
		nil,
		[]string{"1: dropped: RewriteEngine is not on here"},
	},
	{
		"a file on the disk",
		engine + "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^/a$ /b [R,L]\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\nRewriteRule ^/c$ /d [R,L]\nRewriteCond %{DOCUMENT_ROOT}/off.html -f\nRewriteRule ^ /off.html [R,L]",
		[]string{
			`{"path":"/a","decoded":true,"status":302,"target":"/b"}`,
			`{"path":"/c","decoded":true,"status":302,"target":"/d","missing":true}`,
		},
		[]string{
			"3: changed: in server context %{REQUEST_FILENAME} is the URL-path, so there is hardly ever such a file: taken as true",
			"5: changed: the condition on a file became missing: the app is asked first, and the redirect is for what it does not have",
			"7: dropped: condition in line 6: whether that file is there is not known here",
		},
	},
}

func TestApacheTakesOverRewrites(t *testing.T) {
	for i := range rewriteCases {
		rewriteCases[i].run(t, Apache, Options{})
	}
}

var htaccessCases = []apacheCase{
	{
		"patterns have no slash in front, targets that are relative have the base",
		engine + "RewriteBase /\nRewriteRule ^old/(.*)$ new/$1 [R=301,L]\nRewriteRule ^(.*)\\.html$ $1 [R,L]\nRewriteRule x$ /y [R,L]\nRewriteRule ^/?z$ /q [R,L]\nRewriteRule ^/never$ /q [R,L]",
		[]string{
			`{"regexp":"^/old/(.*)$","decoded":true,"status":301,"target":"/new/{1|apache}"}`,
			`{"regexp":"^/(.*)\\.html$","decoded":true,"status":302,"target":"/{1|apache}"}`,
			`{"regexp":"^/.*?x$","decoded":true,"status":302,"target":"/y"}`,
			`{"regexp":"^/z$","decoded":true,"status":302,"target":"/q"}`,
		},
		[]string{"7: dropped: it never matches: in a folder's context a path begins without a slash"},
	},
	{
		"without a base a relative target is one of the folder",
		engine + "RewriteRule ^old$ new [R,L]",
		[]string{`{"path":"/old","decoded":true,"status":302,"target":"/new"}`},
		[]string{"2: changed: without RewriteBase Apache puts the folder's place on the disk into the URL: taken as relative to /"},
	},
	{
		"the front controller changes nothing, and what is missing is redirected",
		engine + "RewriteRule ^index\\.php$ - [L]\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^old$ /new [R=301,L]\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . /index.php [L]\nRedirect /x /y",
		[]string{
			`{"path":"/index.php","decoded":true,"intent":"pass"}`,
			`{"path":"/old","decoded":true,"status":301,"target":"/new","missing":true}`,
			`{"path":"/x","decoded":true,"status":302,"target":"/y"}`,
			`{"path":"/x/*","decoded":true,"status":302,"target":"/y/{*|apache}"}`,
		},
		[]string{"4: changed: the condition on a file became missing: the app is asked first, and the redirect is for what it does not have"},
	},
	{
		"what exists goes no further",
		engine + "RewriteCond %{REQUEST_FILENAME} -f [OR]\nRewriteCond %{REQUEST_FILENAME} -d\nRewriteRule ^ - [L]\nRewriteRule ^old$ /new [R,L]",
		[]string{`{"path":"/old","decoded":true,"status":302,"target":"/new","missing":true}`},
		[]string{"4: changed: files that exist go no further: the rules below redirect only where the app has nothing (missing)"},
	},
	{
		"a rewrite begins the list again",
		engine + "RewriteRule ^b$ https://e.example/ [R,L]\nRewriteRule ^a$ b [L]\nRewriteRule ^c$ b [END]\nRewriteRule ^d$ /new [R,L]",
		[]string{
			`{"path":"/b","decoded":true,"status":302,"target":"https://e.example/"}`,
			`{"path":"/a","decoded":true,"status":302,"target":"https://e.example/"}`,
			`{"path":"/a","decoded":true,"intent":"pass"}`,
			`{"path":"/c","decoded":true,"intent":"pass"}`,
			`{"path":"/d","decoded":true,"status":302,"target":"/new"}`,
		},
		nil,
	},
	{
		"a condition on $1",
		engine + "RewriteCond $1 !^(?:img|css)/\nRewriteRule ^(.*)$ https://e.example/$1 [R,L]\nRewriteCond $1 =x\nRewriteRule ^s/(.*)$ /t [R,L]",
		[]string{
			`{"path":"/*","decoded":true,"when":[{"on":"path","regexp":"^/(?:img|css)/","not":true}],"status":302,"target":"https://e.example/{*|apache}"}`,
			`{"regexp":"^/s/(.*)$","decoded":true,"when":[{"on":"path","equals":"/s/x"}],"status":302,"target":"/t"}`,
		},
		nil,
	},
	{
		"a rewrite whose result a Redirect takes is noted",
		engine + "RewriteRule ^a$ /b [L]\nRedirect /b /c",
		[]string{
			`{"path":"/b","decoded":true,"status":302,"target":"/c"}`,
			`{"path":"/b/*","decoded":true,"status":302,"target":"/c/{*|apache}"}`,
		},
		[]string{"2: changed: what it rewrites to is redirected by line 3: that is not taken over"},
	},
}

func TestHtaccessTakesOverRewrites(t *testing.T) {
	for i := range htaccessCases {
		htaccessCases[i].run(t, Htaccess, Options{})
	}
}

func TestHtaccessLiesInTheFolderThatIsGiven(t *testing.T) {
	text := engine + "RewriteRule ^old$ /new [R,L]\nRewriteRule ^(.*)\\.php$ $0x [R,L]\nRewriteBase /base"
	c := apacheCase{"by RewriteBase", text, []string{
		`{"path":"/base/old","decoded":true,"status":302,"target":"/new"}`,
		`{"regexp":"^/base/((.*)\\.php$)","decoded":true,"status":302,"target":"/base/{1|apache}x"}`,
	}, nil}
	c.run(t, Htaccess, Options{})
	c = apacheCase{"by the option", text, []string{
		`{"path":"/blog/old","decoded":true,"status":302,"target":"/new"}`,
		`{"regexp":"^/blog/((.*)\\.php$)","decoded":true,"status":302,"target":"/base/{1|apache}x"}`,
	}, nil}
	c.run(t, Htaccess, Options{Folder: "blog"})
}

func TestHostsOfTheRequestLeadOnlyWhereItIsAllowed(t *testing.T) {
	text := engine + "RewriteCond %{HTTP_HOST} !^www\\. [NC]\nRewriteRule ^(.*)$ https://www.%{HTTP_HOST}/$1 [R=301,L]"
	c := apacheCase{"known by the option", text, []string{
		`{"path":"/*","decoded":true,"when":[{"on":"host","regexp":"(?i)^www\\.","not":true}],"status":301,"target":"https://www.{host}/{*|apache}","origins":["https://www.a.example"]}`,
	}, nil}
	c.run(t, Htaccess, Options{Host: "A.example"})
	text = "<VirtualHost *:443>\nServerName www.b.example:443\nServerAlias b.example *.b.example\n" + engine +
		"RewriteCond %{HTTP_HOST} ^www\\.(.+)$\nRewriteRule ^ https://%1%{REQUEST_URI} [R,L]\n</VirtualHost>"
	c = apacheCase{"known by the virtual host", text, []string{
		`{"scheme":"https","path":"/*","decoded":true,"when":[{"on":"host","regexp":"^www\\.(?P<c1>.+)$"}],"status":302,"target":"https://{c1}{decoded_path|apache}","origins":["https://b.example"]}`,
	}, []string{
		"6: changed: a request for another host of *.b.example gets 400: a request cannot choose a foreign host, and this leads to https://b.example alone; say with --origin where else it may lead",
	}}
	c.run(t, Apache, Options{})
}

func TestVirtualHostsForEveryHostSayWhoGets400(t *testing.T) {
	const other = "<VirtualHost *:443>\nServerName example.com\nRedirect gone /x\n</VirtualHost>\n"
	const https = engine + "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]\n</VirtualHost>\n"
	const every = "a request for any other host that Apache sends here gets 400"
	tests := []struct {
		name, in string
		opts     Options
		want     string // kind and a part of the reason; "" for no note
		origins  string
	}{
		{"with a name of its own", "<VirtualHost *:80>\nServerName own.example\n" + https, Options{}, "", "https://own.example"},
		{"_default_ with a name", "<VirtualHost _default_:80>\nServerName own.example\n" + https, Options{}, "changed " + every, "https://own.example"},
		{"_default_ of a file for one host", "<VirtualHost _default_:80>\nServerName own.example\n" + https, Options{Host: "example.com"}, "", "https://example.com https://own.example"},
		{"without a name", "<VirtualHost *:80>\n" + https, Options{}, "dropped --origin, or which host the file is for with --host", ""},
		{"without a name, and an origin", "<VirtualHost *:80>\n" + https, Options{Origins: []string{"https://a.example"}}, "changed " + every, "https://a.example"},
		{"without a name, and a host", "<VirtualHost *:80>\n" + https, Options{Host: "example.com"}, "", "https://example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := Import(Apache, "f", strings.NewReader(tt.in+other), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			compareOrigins(t, res, tt.want, tt.origins)
		})
	}
}

func TestVirtualHostsKeepToThemselves(t *testing.T) {
	c := apacheCase{"two, and one that shares a wildcard", `
Redirect gone /everywhere
<VirtualHost *:80>
ServerName a.example
Redirect gone /a
</VirtualHost>
<VirtualHost *:80>
ServerName b.example
ServerAlias *.example www.*
Redirect gone /b
</VirtualHost>
<VirtualHost *:443>
ServerName b.example
Redirect gone /tls
</VirtualHost>`, []string{
		`{"scheme":"http","hosts":["a.example"],"path":"/a/*","decoded":true,"status":410}`,
		`{"scheme":"http","hosts":["a.example"],"path":"/everywhere/*","decoded":true,"status":410}`,
		`{"scheme":"http","hosts":["a.example"],"intent":"pass"}`,
		`{"scheme":"http","path":"/b/*","decoded":true,"when":[{"on":"host","regexp":"^(?:b\\.example|.*\\.example|www\\..*)$"}],"status":410}`,
		`{"scheme":"http","path":"/everywhere/*","decoded":true,"when":[{"on":"host","regexp":"^(?:b\\.example|.*\\.example|www\\..*)$"}],"status":410}`,
		`{"scheme":"http","when":[{"on":"host","regexp":"^(?:b\\.example|.*\\.example|www\\..*)$"}],"intent":"pass"}`,
		`{"scheme":"http","path":"/a/*","decoded":true,"status":410}`,
		`{"scheme":"http","path":"/everywhere/*","decoded":true,"status":410}`,
		`{"scheme":"https","path":"/tls/*","decoded":true,"status":410}`,
		`{"scheme":"https","path":"/everywhere/*","decoded":true,"status":410}`,
	}, nil}
	c.run(t, Apache, Options{})
}

func TestFoldersBelowEachOther(t *testing.T) {
	c := apacheCase{"the deeper one counts", `
DocumentRoot "/srv"
<Directory "/srv">
RewriteEngine On
RewriteRule ^(.*)\.old$ /$1 [R,L]
</Directory>
<Directory "/srv/deep">
RewriteEngine On
RewriteRule ^x$ /y [R,L]
Redirect gone /deep/z
</Directory>`, []string{
		`{"path":"/deep/x","decoded":true,"status":302,"target":"/y"}`,
		`{"path":"/deep/*","decoded":true,"when":[{"on":"path","regexp":"^/deep/"}],"intent":"pass"}`,
		`{"regexp":"^/(.*)\\.old$","decoded":true,"status":302,"target":"/{1|apache}"}`,
		`{"path":"/deep/z/*","decoded":true,"status":410}`,
	}, nil}
	_ = c
	rules, notes := imported(t, Apache, c.text, Options{})
	if len(notes) > 0 || len(rules) < 3 || rules[0] != c.rules[0] {
		t.Errorf("%s\n%s", strings.Join(rules, "\n"), strings.Join(notes, "\n"))
	}
}

func TestFilesThatAreIncludedAreReadWhereTheyAreGiven(t *testing.T) {
	files := fstest.MapFS{
		"etc/apache2/sites/a.conf":   {Data: []byte("Redirect gone /a\nRedirect bad /b")},
		"etc/apache2/sites/b.conf":   {Data: []byte("Include /etc/apache2/sites/b.conf")},
		"etc/apache2/maps/names.txt": {Data: []byte("# comment\nx  /to/x\ny https://y.example/?a=b\nshort\nx /twice\n")},
	}
	text := "Include /etc/apache2/sites/*.conf\nIncludeOptional /nothing/*\nInclude /nothing\nRewriteMap names txt:/etc/apache2/maps/names.txt\nRewriteMap prog prg:/bin/x\nRewriteMap low int:tolower\n" + engine +
		"RewriteRule ^/n/(\\w+)$ ${names:$1|/none} [R,L]\nRewriteCond ${names:$1} !=\"\"\nRewriteRule ^/(\\w+)/m$ ${names:$1} [R,L]\nRewriteRule ^/p/(.*)$ ${prog:$1} [R,L]\nRewriteRule ^/q/(.*)$ /${low:$1} [R,L]\nRewriteRule ^/r/(.*)$ ${gone:$1} [R,L]\n"
	c := apacheCase{"a folder and a map", text, []string{
		`{"path":"/n/x","decoded":true,"status":302,"target":"/to/x"}`,
		`{"path":"/n/y","decoded":true,"status":302,"target":"https://y.example/?a=b"}`,
		`{"regexp":"^/n/(\\w+)$","decoded":true,"status":302,"target":"/none"}`,
		`{"path":"/x/m","decoded":true,"status":302,"target":"/to/x"}`,
		`{"path":"/y/m","decoded":true,"status":302,"target":"https://y.example/?a=b"}`,
		`{"path":"/a/*","decoded":true,"status":410}`,
	}, nil}
	rules, notes := imported(t, Apache, text, Options{Files: files})
	if !slices.Equal(rules, c.rules) {
		t.Errorf("%s", strings.Join(rules, "\n"))
	}
	for _, want := range []string{"it never matches", "deeper than", "there is no such file", "kind prg", "the function tolower", "\"gone\" is not there", "2.4.60"} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note has %q in\n%s", want, strings.Join(notes, "\n"))
		}
	}
}

func TestNotesNameThePlaceAndTheNearestRule(t *testing.T) {
	res, err := Import(Apache, "site.conf", strings.NewReader("Redirect gone /a\n   Redirect old /b\nRedirect gone /c\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Lines != 3 || res.Mode != rule.FileOrder || len(res.Notes) != 1 {
		t.Fatalf("%+v", res)
	}
	if n := res.Notes[0]; n.Line != 2 || n.Column != 4 || n.Text != "Redirect old /b" || n.Kind != Dropped || n.Nearest == 0 {
		t.Errorf("%+v", n)
	}
	if pos := res.Rules[2].Pos.String(); pos != "site.conf:3:1" {
		t.Error(pos)
	}
}

func TestApacheIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"sections":     strings.Repeat("<Location /a>\n", 100),
		"a long line":  "Redirect gone /" + strings.Repeat("a", maxApacheLine),
		"alternatives": engine + strings.Repeat("RewriteCond %{QUERY_STRING} a [OR]\nRewriteCond %{REQUEST_METHOD} b\n", 20) + "RewriteRule ^/x$ /y [R]",
		"rewrites":     engine + strings.Repeat("RewriteRule ^/a$ /a\n", 2000) + "RewriteRule ^/a$ /y [R]",
		"a loop":       engine + "RewriteRule ^/a$ /b\nRewriteRule ^/b$ /a [N]\nRewriteRule ^/a$ /y [R]",
		"skips":        engine + strings.Repeat("RewriteRule ^/a - [S=3000]\n", 2000) + "RewriteRule ^/b$ /y [R]",
	} {
		t.Run(name, func(t *testing.T) {
			res, err := Import(Apache, "f", strings.NewReader(text), Options{})
			if err == nil && len(res.Notes) == 0 && len(res.Rules) > 20_100 {
				t.Errorf("%d rules, and nothing is noted", len(res.Rules))
			}
			if err != nil && name != "sections" {
				t.Error(err)
			}
		})
	}
}
