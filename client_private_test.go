package seeother_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother"
)

// elsewhere is a connection that says that it leads to another address.
type elsewhere struct {
	net.Conn
	remote net.Addr
}

func (c elsewhere) RemoteAddr() net.Addr { return c.remote }

// internet is a Transport for which names that begin with "public" are at a
// public address, and all others at a loopback one. Both are server.
func internet(t *testing.T, server *httptest.Server) *http.Transport {
	t.Helper()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		if err == nil && strings.HasPrefix(addr, "public") {
			conn = elsewhere{conn, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("203.0.113.5:80"))}
		}
		return conn, err
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestARedirectFromAPublicToAPrivateAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		allow          bool
		proxy          string
		reached        bool
	}{
		{"a loopback address", "http://public.example/", "http://127.0.0.1/", false, "", false},
		{"a loopback address, allowed", "http://public.example/", "http://127.0.0.1/", true, "", true},
		{"localhost", "http://public.example/", "http://localhost:8080/", false, "", false},
		{"a name below localhost", "http://public.example/", "http://x.LocalHost./", false, "", false},
		{"a metadata service", "http://public.example/", "http://169.254.169.254/latest", false, "", false},
		{"a private network", "http://public.example/", "http://10.1.2.3/", false, "", false},
		{"a private network of IPv6", "http://public.example/", "http://[fd00::1]/", false, "", false},
		{"IPv4 in IPv6", "http://public.example/", "http://[::ffff:127.0.0.1]/", false, "", false},
		{"IPv4 in NAT64", "http://public.example/", "http://[64:ff9b::7f00:1]/", false, "", false},
		{"no address", "http://public.example/", "http://0.0.0.0/", false, "", false},
		{"carrier-grade NAT", "http://public.example/", "http://100.64.0.1/", false, "", false},
		{"a name that is at a loopback address", "http://public.example/", "http://rebound.example/", false, "", false},
		{"an international name that is", "http://public.example/", "http://b\u00fccher.example/", false, "", false},
		{"an address in another spelling", "http://public.example/", "http://0x7f.1/", false, "", false},
		{"a name that is, allowed", "http://public.example/", "http://rebound.example/", true, "", true},
		{"a public name", "http://public.example/", "http://public2.example/", false, "", true},
		{"from private to private", "http://127.0.0.1/", "http://10.1.2.3/", false, "", true},
		{"from a private name to a private name", "http://intranet.example/", "http://wiki.example/", false, "", true},
		{"through a proxy whose address is private", "http://public.example/", "http://public2.example/", false, "http://proxy.example", true},
		{"an address through a proxy", "http://public.example/", "http://10.1.2.3/", false, "http://proxy.example", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					w.Header().Set("Location", tt.to)
					w.WriteHeader(http.StatusTemporaryRedirect)
				}
			}))
			defer server.Close()
			transport := internet(t, server)
			if tt.proxy != "" {
				transport.Proxy = http.ProxyURL(mustURL(t, tt.proxy))
			}
			resp, err := (&seeother.Client{Transport: transport, Private: tt.allow}).Do(request(t, "POST", tt.from, "text"))
			if tt.reached != (err == nil) || !tt.reached && !errors.Is(err, seeother.ErrPrivate) {
				t.Errorf("got %v", err)
			}
			if err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if n := asked.Load(); tt.reached != (n == 2) {
				t.Errorf("%d requests were written", n)
			}
		})
	}
}

// A Transport that is not Go's own shows no connections: the name decides.
func TestAddressesThatArePrivateByTheirName(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{ // whether they are
		"127.0.0.1": true, "127.9.9.9": true, "localhost": true, "LOCALHOST.": true, "app.localhost": true, "10.0.0.1": true, "172.31.0.1": true,
		"192.168.1.1": true, "169.254.169.254": true, "0.0.0.0": true, "0.1.2.3": true, "100.64.0.1": true, "192.0.0.1": true, "198.18.0.1": true,
		"224.0.0.1": true, "255.255.255.255": true, "[::1]": true, "[::]": true, "[fe80::1]": true, "[fd00::1]": true, "[fec0::1]": true, "[ff02::1]": true,
		"[::ffff:10.0.0.1]": true, "[64:ff9b::a00:1]": true,

		"203.0.113.5": false, "172.32.0.1": false, "100.128.0.1": false, "8.8.8.8": false, "[2001:db8::1]": false, "[64:ff9b::808:808]": false,
		"notlocalhost": false, "localhost.example": false, "10.0.0.1.example": false,
	}
	for host, private := range tests {
		s := &script{answers: []answer{to(302, "Location", "http://"+host+"/"), to(200)}}
		_, err := (&seeother.Client{Transport: s}).Do(request(t, "GET", "http://public.example/", ""))
		if private != errors.Is(err, seeother.ErrPrivate) || !private && err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A connection that was made for somebody who may go there is no way in.
func TestAnIdleConnectionToAPrivateAddressIsNotUsed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if strings.HasPrefix(r.Host, "public") {
			http.Redirect(w, r, "http://rebound.example/", http.StatusFound)
		}
	}))
	defer server.Close()
	client := &seeother.Client{Transport: internet(t, server)}
	get := func(u string) error {
		resp, err := client.Do(request(t, "GET", u, ""))
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return err
	}
	if err := get("http://rebound.example/"); err != nil {
		t.Fatal(err)
	}
	var failed *url.Error
	if err := get("http://public.example/"); !errors.Is(err, seeother.ErrPrivate) || !errors.As(err, &failed) || asked.Load() != 2 {
		t.Errorf("got %v after %d requests", err, asked.Load())
	}
}
