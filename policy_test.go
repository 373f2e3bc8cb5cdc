package seeother

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	const here = "https://site.example"
	credentials := Policy{Credentials: true}
	tests := []struct {
		name     string
		policy   Policy
		method   string
		status   int
		location string
		applied  bool
		reason   string // "": not ours
	}{
		{"a 302 after POST", Policy{}, "POST", 302, "/done", true, "303 tells every client GET /done"},
		{"a 302 after PUT", Policy{}, "PUT", 302, "/done", true, "browsers would have sent PUT /done"},
		{"a 302 after PATCH", Policy{}, "PATCH", 302, "/done", true, "browsers would have sent PATCH /done"},
		{"a 302 after DELETE", Policy{}, "DELETE", 302, "/users", true, "browsers would have sent DELETE /users"},
		{"a 302 after GET", Policy{}, "GET", 302, "/x", false, ""},
		{"a 302 after HEAD", Policy{}, "HEAD", 302, "/x", false, ""},
		{"a 302 after QUERY", Policy{}, "QUERY", 302, "/x", false, ""},
		{"a 302 after OPTIONS", Policy{}, "OPTIONS", 302, "/x", false, ""},
		{"a 302 after a WebDAV method", Policy{}, "MOVE", 302, "/x", false, ""},
		{"a 302 after a method in lower case", Policy{}, "post", 302, "/x", false, ""},
		{"a 301", Policy{}, "POST", 301, "/x", false, ""},
		{"a 303", Policy{}, "POST", 303, "/x", false, ""},
		{"a 307", Policy{}, "POST", 307, "/x", false, ""},
		{"a 308", Policy{}, "DELETE", 308, "/x", false, ""},
		{"a 201 with a Location", Policy{}, "POST", 201, "/x", false, ""},
		{"an empty Location", Policy{}, "POST", 302, "", false, ""},
		{"a blank Location", Policy{}, "POST", 302, " \t", false, ""},

		{"the query is not told", Policy{}, "DELETE", 302, "/users?token=secret#secret", true, "browsers would have sent DELETE /users"},
		{"an absolute Location on this site", Policy{}, "DELETE", 302, here + "/users?secret", true, "browsers would have sent DELETE /users"},
		{"this site in another spelling", Policy{}, "PUT", 302, "HTTPS://SITE.example:443", true, "browsers would have sent PUT /"},
		{"this site without a scheme", Policy{}, "PUT", 302, "//site.example/a", true, "browsers would have sent PUT /a"},
		{"a relative Location", Policy{}, "DELETE", 302, "../users", true, "browsers would have sent DELETE /users"},
		{"a query as Location", Policy{}, "DELETE", 302, "?x=1", true, "browsers would have sent DELETE /dir/page"},
		{"non-ASCII is encoded", Policy{}, "DELETE", 302, "/é\x1b[2J", true, "browsers would have sent DELETE /%C3%A9%1B[2J"},
		{"a long path is cut", Policy{}, "DELETE", 302, "/" + strings.Repeat("a", 500), true, "browsers would have sent DELETE /" + strings.Repeat("a", 199) + "..."},

		{"PUT to another origin", Policy{}, "PUT", 302, "https://s3.example/up?sig=secret", false, "left alone, it leads to another origin: browsers send PUT https://s3.example/up"},
		{"PATCH to another origin", Policy{}, "PATCH", 302, "//s3.example/up", false, "left alone, it leads to another origin: browsers send PATCH https://s3.example/up"},
		{"PUT to another scheme", Policy{}, "PUT", 302, "http://site.example/up", false, "left alone, it leads to another origin: browsers send PUT http://site.example/up"},
		{"PUT to another port", Policy{}, "PUT", 302, here + ":8443/up", false, "left alone, it leads to another origin: browsers send PUT https://site.example:8443/up"},
		{"PUT to another origin by a backslash", Policy{}, "PUT", 302, `/\s3.example\up?a\b`, false, "left alone, it leads to another origin: browsers send PUT https://s3.example/up"},
		{"PUT to something broken", Policy{}, "PUT", 302, "https:s3.example", false, "left alone, it leads to another origin: browsers send PUT https:"},
		{"PUT to another origin where the route allows", Policy{CrossOrigin: true}, "PUT", 302, "https://s3.example/up", true, "browsers would have sent PUT https://s3.example/up"},
		{"POST to another origin", Policy{}, "POST", 302, "https://pay.example/x", true, "303 tells every client GET https://pay.example/x"},
		{"DELETE to another origin", Policy{}, "DELETE", 302, "https://u:secret@x.example/x", true, "browsers would have sent DELETE https://x.example/x"},
		{"a host that is none", Policy{}, "DELETE", 302, "https://\x1b/x", true, "browsers would have sent DELETE https://%1B/x"},
		{"an app's scheme", Policy{}, "POST", 302, "myapp://done", true, "303 tells every client GET myapp://done/"},
		{"a mail address is not told", Policy{}, "POST", 302, "mailto:secret@x.example", true, "303 tells every client GET mailto:"},

		{"a password on 307", credentials, "POST", 307, "/sso", true, "browsers would have sent POST /sso again, with the password"},
		{"a password on 308 to another origin", credentials, "POST", 308, "https://sso.example/in", true, "browsers would have sent POST https://sso.example/in again, with the password"},
		{"a 302 where passwords are sent", credentials, "POST", 302, "/in", true, "303 tells every client GET /in"},
		{"a 307 after PUT", credentials, "PUT", 307, "/sso", false, ""},
		{"a 307 after GET", credentials, "GET", 307, "/sso", false, ""},

		{"off", Policy{Stage: Off}, "DELETE", 302, "/users", false, ""},
		{"report", Policy{Stage: Report}, "DELETE", 302, "/users", false, "browsers send DELETE /users"},
		{"a canary without this client", Policy{Stage: Canary(1)}, "DELETE", 302, "/users", false, "browsers send DELETE /users"},
		{"a canary with this client", Policy{Stage: Canary(99)}, "DELETE", 302, "/users", true, "browsers would have sent DELETE /users"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.policy.Route = "route"
			d, found := tt.policy.Decide(Answer{tt.method, "/dir/page", tt.status, []string{tt.location}, here, "alice"})
			want := Decision{}
			if tt.reason != "" {
				want = Decision{
					Policy: "see-other", Action: "303", Route: "route", Stage: tt.policy.Stage, Applied: tt.applied,
					Method: tt.method, Path: "/dir/page", Before: tt.status, After: 303, Reason: tt.reason,
				}
			}
			if d != want || found != (tt.reason != "") {
				t.Errorf("got  %+v, %v\nwant %+v", d, found, want)
			}
		})
	}
}

func TestDecideNeedsExactlyOneLocation(t *testing.T) {
	t.Parallel()
	for name, location := range map[string][]string{
		"none": nil, "two": {"/a", "/b"}, "two equal ones": {"/a", "/a"}, "one and an empty one": {"/a", ""},
	} {
		if d, found := (Policy{}).Decide(Answer{Method: "POST", Status: 302, Location: location}); found {
			t.Errorf("%s: %v", name, d)
		}
	}
}

func TestDecideWithoutOrigin(t *testing.T) {
	t.Parallel()
	d, found := Policy{}.Decide(Answer{Method: "PUT", Path: "*", Status: 302, Location: []string{"//a/b"}})
	if !found || d.Applied {
		t.Errorf("got %v, %v", d, found)
	}
	d, _ = Policy{}.Decide(Answer{Method: "PUT", Path: "", Status: 302, Location: []string{"x"}})
	if want := "browsers would have sent PUT /x"; d.Reason != want {
		t.Errorf("got %q, want %q", d.Reason, want)
	}
}

func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "http://site.example:81/x", nil)
	tls := httptest.NewRequest("POST", "https://site.example/x", nil)
	odd := httptest.NewRequest("POST", "/x", nil)
	odd.RemoteAddr = "@" // a Unix socket
	own := Policy{
		Client: func(*http.Request) string { return "me" },
		Origin: func(*http.Request) string { return "https://mine" },
	}
	for _, tt := range []struct{ name, got, want string }{
		{"client", (&Policy{}).client(r), "192.0.2.1"},
		{"client of a Unix socket", (&Policy{}).client(odd), "@"},
		{"client as given", own.client(r), "me"},
		{"origin", joined((&Policy{}).origin(r)), "http://site.example:81"},
		{"origin with TLS", joined((&Policy{}).origin(tls)), "https://site.example"},
		{"origin as given", joined(own.origin(r)), "https://mine"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// Whatever an app puts into Location: a Decision can be logged as it is.
func FuzzDecide(f *testing.F) {
	for _, location := range []string{"/a", "//h/x", `/\h`, "https://u:p@h:1/x?q#f", "mailto:x", "?q", "", "../..", "https:x", "\x00", "%"} {
		f.Add("DELETE", 302, location, "/dir/page", "https://site.example")
	}
	f.Fuzz(func(t *testing.T, method string, status int, location, path, origin string) {
		d, found := Policy{Credentials: true}.Decide(Answer{method, path, status, []string{location}, origin, ""})
		if !found || strings.Contains(path+origin, "?") { // those two are escaped
			return
		}
		if !submits(method) || status != 302 && status != 307 && status != 308 || d.After != 303 {
			t.Fatalf("%s %d became %d", method, status, d.After)
		}
		if len(d.Reason) > 3*maxShown+100 {
			t.Fatalf("a Reason of %d bytes", len(d.Reason))
		}
		for i := range len(d.Reason) {
			if c := d.Reason[i]; c < ' ' || c >= 0x7f || c == '?' || c == '#' {
				t.Fatalf("Reason %q holds %q", d.Reason, c)
			}
		}
	})
}

func joined(scheme, host string) string { return scheme + "://" + host }
