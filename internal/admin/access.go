package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/seeother/seeother/internal/problem"
)

// MinToken is the shortest token that CheckListen accepts, in bytes. A token
// is asked for over the network, and nothing slows guessing down.
const MinToken = 16

// ListenError says why an admin address may not be listened on.
type ListenError struct {
	Addr   string
	Reason string
	hint   string
}

func (e *ListenError) Error() string { return fmt.Sprintf("admin address %q: %s", e.Addr, e.Reason) }

// Hint says what to do about it.
func (e *ListenError) Hint() string { return e.hint }

// CheckListen refuses to open the admin side to the network without a token:
// addr must then be a loopback address or localhost. The error is a
// *ListenError.
func CheckListen(addr, token string) error {
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return &ListenError{Addr: addr, Reason: "want host:port", hint: "for example 127.0.0.1:8304"}
	case token != "" && len(token) < MinToken:
		return &ListenError{
			Addr: addr, Reason: fmt.Sprintf("the token is shorter than %d bytes", MinToken),
			hint: "make one with: openssl rand -hex 32",
		}
	case token != "" || loopbackName(host):
		return nil
	case host == "":
		host = "every address of this machine"
	}
	return &ListenError{
		Addr: addr, Reason: host + " is not loopback, and no token is set",
		hint: "listen on 127.0.0.1, or set an admin token that clients must send",
	}
}

// loopbackName reports whether host, as it stands in an address or in a Host
// header without its port, means this machine only.
func loopbackName(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// access decides who may see and change things.
type access struct {
	guarded bool
	token   [sha256.Size]byte // of the token: comparing hashes tells nothing of its length
}

var (
	errToken = errors.New("token is missing or wrong")
	errLocal = errors.New("not a request of this machine to a name of this machine")
)

func newAccess(token string) access {
	return access{guarded: token != "", token: sha256.Sum256([]byte(token))}
}

// check returns nil, errToken or errLocal. Without a token the Host must be a
// loopback name, too: a web page whose own name was pointed at 127.0.0.1 (DNS
// rebinding) would otherwise be of the same origin.
func (a access) check(r *http.Request) error {
	if !a.guarded {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() || !loopbackName(hostOf(r.Host)) {
			return errLocal
		}
		return nil
	}
	sum := sha256.Sum256([]byte(credential(r)))
	if subtle.ConstantTimeCompare(sum[:], a.token[:]) != 1 {
		return errToken
	}
	return nil
}

// credential is the token that a request shows: as Bearer (RFC 6750), or as
// the password of Basic (RFC 7617), which is what browsers can send.
func credential(r *http.Request) string {
	if len(r.Header.Values("Authorization")) != 1 {
		return ""
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// hostOf takes the port off a Host header.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// refuse writes the answer to what check returned.
func (a access) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errToken) {
		w.Header().Add("WWW-Authenticate", `Bearer realm="seeother admin"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="seeother admin", charset="UTF-8"`)
		problem.Write(w, r, problem.Details{
			Type: "unauthorized", Title: "Token required", Status: http.StatusUnauthorized,
			Detail: "Send the admin token as Authorization: Bearer. A browser asks for it: leave the name empty, the password is the token.",
		})
		return
	}
	problem.Write(w, r, problem.Details{
		Type: "not-local", Title: "Only from this machine", Status: http.StatusForbidden,
		Detail: "No admin token is set, so requests must come over loopback and name a loopback host, such as 127.0.0.1 or localhost, in Host.",
	})
}
