package trace

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// signer signs certificates.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate that by signs; nil: itself.
func issue(t *testing.T, by *signer, change func(*x509.Certificate)) (*signer, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "a test"}, DNSNames: []string{"shop.example"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	change(cert)
	self := &signer{cert, key}
	if by == nil {
		by = self
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if self.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Each way in which a certificate is wrong has its own words, and the request is
// not sent; with Insecure it is, and the words are a note.
func TestACertificateThatIsWrong(t *testing.T) {
	t.Parallel()
	ca, _ := issue(t, nil, func(c *x509.Certificate) { c.IsCA = true })
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	yesterday, tomorrow := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	for name, c := range map[string]struct {
		by     *signer
		change func(*x509.Certificate)
		want   []string
	}{
		"expired":                        {ca, func(c *x509.Certificate) { c.NotAfter = yesterday }, []string{"the certificate ended on " + yesterday.UTC().Format(time.DateOnly)}},
		"not yet valid":                  {ca, func(c *x509.Certificate) { c.NotBefore = tomorrow }, []string{"the certificate begins on " + tomorrow.UTC().Format(time.DateOnly)}},
		"for another host":               {ca, func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} }, []string{`the certificate is not for "shop.example" but for other.example`}},
		"for no host, but a common name": {ca, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "shop.example" }, []string{`the certificate is not for "shop.example" but for no host`}},
		"self-signed":                    {nil, func(*x509.Certificate) {}, []string{"nobody that this machine trusts signed the certificate"}},
		"for clients":                    {ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, []string{"x509: certificate specifies an incompatible key usage"}},
		"all of it":                      {nil, func(c *x509.Certificate) { c.NotAfter, c.DNSNames = yesterday, []string{"x\x1b[2J.example"} }, []string{"ended on", "is not for", "nobody that this machine trusts"}},
		"good":                           {ca, func(*x509.Certificate) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, cert := issue(t, c.by, c.change)
			asked := 0
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			port := hostPort(s.Listener.Addr().String())
			config := Config{URL: "https://shop.example:" + port, Resolve: map[string]string{"shop.example:" + port: "127.0.0.1"}, Roots: roots}
			seen := run(t, config)
			kind, times := Untrusted, 0
			if c.want == nil {
				kind, times = Arrived, 1
			}
			if seen.End.Kind != kind || asked != times {
				t.Errorf("%+v, %d asked", seen.End, asked)
			}
			problems := seen.Hops[0].TLS.Problems
			if len(problems) != len(c.want) {
				t.Fatalf("%q", problems)
			}
			for i, want := range c.want {
				if !strings.Contains(problems[i], want) || !strings.Contains(seen.End.Text, want) {
					t.Errorf("%q, and %q: want %q", problems, seen.End.Text, want)
				}
			}
			config.Insecure = true
			if seen = run(t, config); seen.End.Kind != Arrived || hasNote(seen.Hops[0], "tls") != (c.want != nil) {
				t.Errorf("insecure: %+v", seen.Hops[0].Notes)
			}
		})
	}
}

// A server that sets as many cookies as its header holds, on each of many hops:
// browsers keep MaxCookies of one host, and none longer than 4096 bytes.
func TestCookiesWithoutEnd(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 20_000 {
		lines = append(lines, fmt.Sprintf("c%d=1", i))
	}
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = lines
		if len(r.URL.Path) < 8 {
			redirect(w, 302, r.URL.Path+"x")
		}
	})
	seen := run(t, Config{URL: base + "/"})
	last := seen.Hops[len(seen.Hops)-1]
	if seen.End.Kind != Arrived || len(last.CookiesSet) != MaxCookies || len(last.CookiesSent) != MaxCookies || !hasNote(last, "many-cookies") {
		t.Errorf("%+v: %d set, %d sent", seen.End, len(last.CookiesSet), len(last.CookiesSent))
	}
	long := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{"a=" + strings.Repeat("x", 4096), "b=" + strings.Repeat("x", 4095), "c=1; Path=" + strings.Repeat("x", 1<<20)}
		if r.URL.Path == "/" {
			redirect(w, 302, "/x")
		}
	})
	seen = run(t, Config{URL: long + "/"})
	if sent := seen.Hops[1].CookiesSent; strings.Join(sent, " ") != "b" || !hasNote(seen.Hops[0], "cookie-ignored") {
		t.Errorf("%q, %+v", sent, seen.Hops[0].Notes)
	}
}

// What was read of an answer's header is not kept to the end of a long chain.
func TestHeadersOfAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		if r.URL.Path != "/end" {
			redirect(w, 302, "/end")
		}
	})
	tr := &tracer{net: mustNetwork(t), out: &Trace{}}
	req, err := http.NewRequestWithContext(t.Context(), "GET", base, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if len(res.Header) != 1 || res.Header.Get("Location") != "/end" {
		t.Errorf("%d headers are kept", len(res.Header))
	}
}

func mustNetwork(t *testing.T) *network {
	t.Helper()
	n, err := newNetwork(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	return n
}

// A token may stand where the name of a user stands, without a password.
func TestNothingOfAUserIsShown(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			redirect(w, 302, strings.Replace("http://"+r.Host+"/x", "://", "://thesecret:thesecret@", 1))
			return
		}
		redirect(w, 302, "http://thesecret@b.example/")
	})
	for _, user := range []string{"thesecret", "thesecret:", "me:thesecret", ":thesecret"} {
		seen := run(t, Config{URL: strings.Replace(base, "://", "://"+user+"@", 1) + "/"})
		text, err := json.Marshal(seen)
		if err != nil || strings.Contains(string(text), "thesecret") || seen.End.Kind != Refused || len(seen.Hops) != 2 {
			t.Errorf("%s: %v %s", user, err, text)
		}
	}
	for _, text := range []string{"http://me:thesecret@a:bad/", "ftp://me:thesecret@a/", "http://me:thesecret@/", "http://thesecret@[::g]/", "http://me:thesecret@%zz/", "me:thesecret@a:99999"} {
		if u, err := ParseURL(text); err == nil || strings.Contains(err.Error(), "thesecret") {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
}

func TestAURLInAQueryIsNoScheme(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"localhost:8080/login?to=http://b.example/": "http://localhost:8080/login?to=http://b.example/",
		"a.example/x#http://b":                      "http://a.example/x#http://b",
		"HTTPS://a.example/":                        "https://a.example/",
	} {
		if u, err := ParseURL(text); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
}

func TestWhoeverIsInterruptedIsToldHowFarItCame(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			redirect(w, 302, "/stuck")
			return
		}
		stop()
		<-r.Context().Done()
	})
	seen, err := Run(ctx, Config{URL: base})
	if err != nil || seen.End.Kind != Interrupted || seen.End.Text != "interrupted" || len(seen.Hops) != 2 || seen.Hops[0].Status != 302 {
		t.Errorf("%v, %+v", err, seen)
	}
}

// Expect, an early answer and a body that nobody reads: the next hop has it all.
func TestABodyThatTheServerDoesNotRead(t *testing.T) {
	t.Parallel()
	got := make(chan int, 1)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			redirect(w, 307, "/x")
			return
		}
		body, _ := io.ReadAll(r.Body)
		got <- len(body)
	})
	seen := run(t, Config{URL: base, Body: make([]byte, 8<<20)})
	if seen.End.Kind != Arrived || len(seen.Hops) != 2 || <-got != 8<<20 {
		t.Errorf("%+v", seen.End)
	}
}

func TestWithoutUser(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://a:b@c/": "http://c/", "http://a:b@c@d/e@f": "http://d/e@f", "//a@b": "//b", `\\a@b`: `\\b`, "https:/a@b": "https:/b", "ftp://a@b": "ftp://b",
		"/a@b": "/a@b", "a@b": "a@b", "http://a/b@c": "http://a/b@c", "http://a?b@c": "http://a?b@c", "mailto:a@b": "mailto:a@b", "": "",
	} {
		if got := withoutUser(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// A name is looked up anew for each connection: what counts is where it leads.
func TestANameThatLeadsToAPrivateAddress(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	private := serve(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })
	public := &seeming{answer: "HTTP/1.1 307 Found\r\nLocation: http://rebound.example/secret\r\nContent-Length: 0\r\n\r\n"}
	dial := func(ctx context.Context, kind, address string) (net.Conn, error) {
		if address == "rebound.example:80" {
			address = strings.TrimPrefix(private, "http://")
		}
		return public.dial(ctx, kind, address)
	}
	for _, allowed := range []bool{false, true} {
		seen := runThrough(t, Config{URL: "http://203.0.113.7/", Body: []byte("secret"), AllowPrivate: allowed}, dial)
		if kind := map[bool]Kind{true: Arrived, false: Refused}[allowed]; seen.End.Kind != kind || len(seen.Hops) != 2 {
			t.Errorf("allowed %v: %+v after %d hops", allowed, seen.End, len(seen.Hops))
		}
		if n := len(asked); (n > 0) != allowed {
			t.Errorf("allowed %v: %d asked", allowed, n)
		}
	}
}

// Whatever servers do, no connection is open after a trace.
func TestConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	closed := sync.NewCond(&mu)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/drip":
			redirect(w, 302, "/endless")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/endless":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/":
			redirect(w, 302, "/bad")
		case "/bad":
			redirect(w, 302, "javascript:x")
		}
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if open[c] = true; state == http.StateClosed {
			delete(open, c)
			closed.Broadcast()
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	for _, path := range []string{"/drip", "/endless", "/"} {
		run(t, Config{URL: s.URL + path, Body: []byte("a=1")})
	}
	mu.Lock()
	defer mu.Unlock()
	late := time.AfterFunc(patience, func() { panic("connections are left open") })
	defer late.Stop()
	for len(open) > 0 {
		closed.Wait()
	}
}

// A header that comes byte by byte is over with the time for everything.
func TestAHeaderThatDrips(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // the client is gone
		_, err = io.WriteString(conn, "HTTP/1.1 302 Found\r\nX: ")
		for err == nil {
			time.Sleep(5 * time.Millisecond)
			_, err = io.WriteString(conn, "x")
		}
	})
	if seen := run(t, Config{URL: base, Timeout: 300 * time.Millisecond}); seen.End.Kind != TimedOut || seen.End.Text != "no answer in time" {
		t.Errorf("%+v", seen.End)
	}
}

// Names of this machine, behind an international spelling and in numbers.
func TestSpellingsOfThisMachine(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"2130706433", "0x7f.1", "127.1", "127.0.0.1.", "ⓛocalhost", "localhost.", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::]", "0.0.0.0"} {
		public := &seeming{answer: "HTTP/1.1 302 Found\r\nLocation: http://" + host + ":1/secret\r\nContent-Length: 0\r\n\r\n"}
		seen := runThrough(t, Config{URL: "http://203.0.113.7/"}, func(ctx context.Context, kind, address string) (net.Conn, error) {
			if address != "203.0.113.7:80" {
				t.Errorf("%s: %s is dialed", host, address)
			}
			return public.dial(ctx, kind, address)
		})
		if seen.End.Kind != Refused || len(seen.Hops) != 1 {
			t.Errorf("%s: %+v after %d hops", host, seen.End, len(seen.Hops))
		}
	}
}
