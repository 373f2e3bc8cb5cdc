package trust

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func request(peer string, header ...string) *http.Request {
	r := &http.Request{RemoteAddr: peer, Host: "inside.example", Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func proxies(t testing.TB, texts ...string) Proxies {
	t.Helper()
	p, err := Parse(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResolve(t *testing.T) {
	long := strings.Repeat("6.6.6.6, ", 2000)
	for _, tt := range []struct {
		name   string
		peer   string
		header []string
		want   string // ip scheme host
	}{
		{"a stranger's claims do not count", "192.0.2.7:1", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "Forwarded", "for=9.9.9.9"}, "192.0.2.7 http inside.example"},
		{"a proxy's claims count", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example"}, "9.9.9.9 https shop.example"},
		{"the right-most stranger is the client", "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6, 9.9.9.9, 10.0.0.2"}, "9.9.9.9 http inside.example"},
		{"two lines are one list", "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "9.9.9.9"}, "9.9.9.9 http inside.example"},
		{"only proxies: the left-most is the client", "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3 http inside.example"},
		{"an unknown address ends the walk at who wrote it", "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6, unknown, 10.0.0.2"}, "10.0.0.2 http inside.example"},
		{"nonsense ends the walk", "10.0.0.1:1", []string{"X-Forwarded-For", "6.6.6.6, <script>"}, "10.0.0.1 http inside.example"},
		{"ports and brackets are left out", "10.0.0.1:1", []string{"X-Forwarded-For", "[2001:db8::1]:443"}, "2001:db8::1 http inside.example"},
		{"an IPv4 address with a port", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9:5000"}, "9.9.9.9 http inside.example"},
		{"a proxy on IPv4 in IPv6 clothes is the same proxy", "[::ffff:10.0.0.1]:1", []string{"X-Forwarded-For", "9.9.9.9"}, "9.9.9.9 http inside.example"},
		{"schemes go with their addresses", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9, 10.0.0.2", "X-Forwarded-Proto", "https, http"}, "9.9.9.9 https inside.example"},
		{"a scheme that a stranger put in front does not count", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https, http"}, "9.9.9.9 http inside.example"},
		{"a scheme that is none is left out", "10.0.0.1:1", []string{"X-Forwarded-Proto", "javascript"}, "10.0.0.1 http inside.example"},
		{"a scheme without addresses counts", "10.0.0.1:1", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example:8443"}, "10.0.0.1 https shop.example:8443"},
		{"a host that is none is left out", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Host", "a/b@evil.example"}, "9.9.9.9 http inside.example"},
		{"Forwarded counts from a proxy", "10.0.0.1:1", []string{"Forwarded", `for=6.6.6.6, for="[2001:db8:cafe::17]:4711";proto=https;host="shop.example:8443", for=10.0.0.2;proto=http`}, "2001:db8:cafe::17 https shop.example:8443"},
		{"a hidden name in Forwarded ends the walk", "10.0.0.1:1", []string{"Forwarded", `for=6.6.6.6, for=_hidden;proto=https`}, "10.0.0.1 https inside.example"},
		{"a malformed Forwarded counts for nothing", "10.0.0.1:1", []string{"Forwarded", `for=9.9.9.9, for="`}, "10.0.0.1 http inside.example"},
		{"X-Forwarded-For rules Forwarded out", "10.0.0.1:1", []string{"X-Forwarded-For", "9.9.9.9", "Forwarded", "for=6.6.6.6;proto=https"}, "9.9.9.9 http inside.example"},
		{"a broken X-Forwarded-For rules Forwarded out too", "10.0.0.1:1", []string{"X-Forwarded-For", ", ,", "Forwarded", "for=6.6.6.6;proto=https"}, "10.0.0.1 http inside.example"},
		{"an endless list is read from the right", "10.0.0.1:1", []string{"X-Forwarded-For", long + "9.9.9.9"}, "9.9.9.9 http inside.example"},
		{"an endless list of proxies stays bounded", "10.0.0.1:1", []string{"X-Forwarded-For", strings.Repeat("10.0.0.9, ", 2000) + "10.0.0.2"}, "10.0.0.9 http inside.example"},
		{"a peer without an address is nobody's proxy", "@", []string{"X-Forwarded-For", "9.9.9.9"}, "invalid IP http inside.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := proxies(t, "10.0.0.0/8").Resolve(request(tt.peer, tt.header...))
			if got := c.IP.String() + " " + c.Scheme + " " + c.Host; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if want := strings.Contains(tt.peer, "10.0.0.1"); c.Trusted != want {
				t.Errorf("trusted %v, want %v", c.Trusted, want)
			}
		})
	}
}

func TestForward(t *testing.T) {
	for _, tt := range []struct {
		name   string
		peer   string
		tls    bool
		header []string
		want   map[string]string
	}{
		{
			"a stranger's claims are replaced", "192.0.2.7:1", true,
			[]string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Port", "1", "X-Real-Ip", "9.9.9.9", "X-Forwarded-Ssl", "on", "Forwarded", "for=9.9.9.9"},
			map[string]string{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "inside.example", "Forwarded": "for=192.0.2.7;host=inside.example;proto=https"},
		},
		{
			"a proxy's list is appended to, and Forwarded agrees", "10.0.0.1:1", false,
			[]string{"X-Forwarded-For", "2001:db8::1, 10.0.0.2", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example", "X-Forwarded-Port", "443"},
			map[string]string{
				"X-Forwarded-For": "2001:db8::1, 10.0.0.2, 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443",
				"Forwarded": `for="[2001:db8::1]";host=shop.example;proto=https, for=10.0.0.2, for=10.0.0.1;host=inside.example;proto=http`,
			},
		},
		{
			"a proxy's Forwarded is appended to, and X-Forwarded-* agrees", "10.0.0.1:1", false,
			[]string{"Forwarded", `for=9.9.9.9;host="shop.example:8443";proto=https`},
			map[string]string{
				"X-Forwarded-For": "9.9.9.9, 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example:8443",
				"Forwarded": `for=9.9.9.9;host="shop.example:8443";proto=https, for=10.0.0.1;host=inside.example;proto=http`,
			},
		},
		{
			"a proxy that names the site only", "10.0.0.1:1", false,
			[]string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example"},
			map[string]string{"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "Forwarded": "for=10.0.0.1;host=shop.example;proto=https"},
		},
		{
			"a proxy that does not say whom it got it from vouches for nobody", "10.0.0.1:1", false,
			[]string{"Forwarded", "for=9.9.9.9, proto=https"},
			map[string]string{
				"X-Forwarded-For": "9.9.9.9, unknown, 10.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "inside.example",
				"Forwarded": "for=9.9.9.9, proto=https, for=10.0.0.1;host=inside.example;proto=http",
			},
		},
		{
			"IPv6 peers are quoted in Forwarded", "[2001:db8::7]:1", false, nil,
			map[string]string{"X-Forwarded-For": "2001:db8::7", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "inside.example", "Forwarded": `for="[2001:db8::7]";host=inside.example;proto=http`},
		},
		{
			"a peer without an address", "@", false,
			[]string{"X-Forwarded-For", "9.9.9.9"},
			map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": "inside.example", "Forwarded": "for=unknown;host=inside.example;proto=http"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := request(tt.peer, tt.header...)
			if tt.tls {
				in.TLS = &tls.ConnectionState{}
			}
			out := in.Header.Clone()
			out["X_forwarded_for"] = []string{"9.9.9.9"}
			proxies(t, "10.0.0.0/8").Forward(in, out)
			if len(out) != len(tt.want) {
				t.Errorf("header %v", out)
			}
			for name, want := range tt.want {
				if got := strings.Join(out[name], " | "); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestHostThatCannotBeQuotedIsLeftOut(t *testing.T) {
	in := request("192.0.2.7:1")
	in.Host = `a";for=6.6.6.6`
	out := http.Header{}
	Proxies(nil).Forward(in, out)
	if got := out.Get("Forwarded"); got != "for=192.0.2.7;proto=http" || out.Get("X-Forwarded-Host") != "" {
		t.Errorf("header %v", out)
	}
}

func TestParse(t *testing.T) {
	p := proxies(t, " 10.1.2.3/8 ", "::1", "::ffff:192.0.2.0/120", "192.168.0.1")
	for addr, want := range map[string]bool{
		"10.9.9.9": true, "::1": true, "192.0.2.200": true, "192.168.0.1": true, "192.168.0.2": false, "::2": false, "fe80::1%eth0": false,
	} {
		if got := p.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	_, err := Parse([]string{"10.0.0.0/33", "::1", "proxy.local"})
	if err == nil || !strings.Contains(err.Error(), `"10.0.0.0/33"`) || !strings.Contains(err.Error(), `"proxy.local"`) {
		t.Errorf("error %v, want both texts named", err)
	}
}

func TestOrigin(t *testing.T) {
	for want, c := range map[string]Client{
		"https://shop.example":      {Scheme: "https", Host: "Shop.example:443"},
		"http://shop.example:443":   {Scheme: "http", Host: "shop.example:443"},
		"http://shop.example":       {Scheme: "http", Host: "shop.example:80"},
		"https://shop.example:8443": {Scheme: "https", Host: "shop.example:8443"},
		"http://[::1]":              {Scheme: "http", Host: "[::1]"},
	} {
		if got := c.Origin(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestParseForwardedRefuses(t *testing.T) {
	for _, text := range []string{
		"", ",", "for", "for=", `for="1`, `for="\`, "for=1.1.1.1 proto=http", "for=1.1.1.1;for=2.2.2.2", "=1", "proto=ftp", "host=a/b",
		"for=1.1.1.1,,", "for=\"a\nb\"", strings.Repeat("for=1.1.1.1,", maxHops) + "for=1.1.1.1", "for=" + strings.Repeat("a", maxList),
	} {
		if claims, ok := parseForwarded(text); ok {
			t.Errorf("%q was read as %v", text, claims)
		}
	}
}

// What is written must be readable again, and must never make a stranger's
// address the client.
func FuzzForward(f *testing.F) {
	f.Add("9.9.9.9, 10.0.0.2", "https", "shop.example", "for=6.6.6.6", "inside.example")
	f.Add("", "", "", `for="[2001:db8::1]:1";proto=https;host="a:1", for=_x`, "[::1]:80")
	f.Add(", ,", "https, http", "a b", `for="\"";x=1`, `"`)
	trusted := proxies(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, xff, proto, xfh, fwd, host string) {
		in := request("10.0.0.1:1")
		in.Host = host
		for name, value := range map[string]string{"X-Forwarded-For": xff, "X-Forwarded-Proto": proto, "X-Forwarded-Host": xfh, "Forwarded": fwd} {
			if value != "" {
				in.Header.Set(name, value)
			}
		}
		out := in.Header.Clone()
		c := trusted.Forward(in, out)
		if !c.IP.IsValid() || c.Scheme != "http" && c.Scheme != "https" {
			t.Fatalf("client %v", c)
		}
		forwarded := out.Get("Forwarded")
		claims, ok := parseForwarded(forwarded)
		if !ok && len(forwarded) <= maxList && len(strings.Split(forwarded, ",")) <= maxHops {
			t.Fatalf("Forwarded %q cannot be read again", forwarded)
		}
		if ok && claims[len(claims)-1].addr != netip.MustParseAddr("10.0.0.1") {
			t.Fatalf("Forwarded %q does not end in the peer", forwarded)
		}
		if !strings.HasSuffix(out.Get("X-Forwarded-For"), "10.0.0.1") {
			t.Fatalf("X-Forwarded-For %q does not end in the peer", out.Get("X-Forwarded-For"))
		}
		again := request("10.0.0.1:1", "X-Forwarded-For", out.Get("X-Forwarded-For"), "X-Forwarded-Proto", out.Get("X-Forwarded-Proto"))
		if next := trusted.Resolve(again); next.IP != c.IP && strings.Count(out.Get("X-Forwarded-For"), ",") < maxHops {
			t.Fatalf("the next proxy sees %v, not %v", next.IP, c.IP)
		}
		stranger := request("192.0.2.7:1")
		stranger.Header = in.Header
		if c := trusted.Resolve(stranger); c.IP.String() != "192.0.2.7" || c.Trusted {
			t.Fatalf("a stranger was believed: %v", c)
		}
	})
}

func BenchmarkForward(b *testing.B) {
	in := request("192.0.2.7:1", "Accept", "*/*", "User-Agent", "x")
	b.ReportAllocs()
	for b.Loop() {
		out := make(http.Header, 8)
		Proxies(nil).Forward(in, out)
	}
}
