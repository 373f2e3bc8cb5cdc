package trace

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// endsSoon is when a certificate's end is worth a note.
const endsSoon = 14 * 24 * time.Hour

// TLS is a connection's version and certificate.
type TLS struct {
	Version  string    `json:"version"`
	Subject  string    `json:"subject,omitempty"` // the certificate's
	Issuer   string    `json:"issuer,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	Problems []string  `json:"problems,omitempty"`
}

// tlsOf looks at a connection as a browser would, and tells all that is wrong.
// A connection to an address has no name of its own: host is it, then.
func tlsOf(cs *tls.ConnectionState, host string, roots *x509.CertPool) *TLS {
	out := &TLS{Version: tls.VersionName(cs.Version)}
	if cs.Version < tls.VersionTLS12 {
		out.Problems = append(out.Problems, out.Version+" is out of use (RFC 8996)")
	}
	if len(cs.PeerCertificates) == 0 {
		out.Problems = append(out.Problems, "no certificate")
		return out
	}
	if cs.ServerName != "" {
		host = cs.ServerName
	}
	leaf := cs.PeerCertificates[0]
	out.Subject, out.Issuer, out.NotAfter = nameOf(leaf), short(leaf.Issuer.String()), leaf.NotAfter.UTC()
	out.Problems = append(out.Problems, problemsOf(leaf, host, cs.PeerCertificates[1:], roots)...)
	return out
}

// nameOf is what a certificate is for.
func nameOf(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) > 0 {
		return short(leaf.DNSNames[0])
	}
	return short(leaf.Subject.String())
}

// problemsOf are host, dates and chain, each on its own: one verification would
// stop at the first.
func problemsOf(leaf *x509.Certificate, host string, chain []*x509.Certificate, roots *x509.CertPool) (out []string) {
	now := time.Now()
	if now.After(leaf.NotAfter) {
		out = append(out, "the certificate ended on "+leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if now.Before(leaf.NotBefore) {
		out = append(out, "the certificate begins on "+leaf.NotBefore.UTC().Format(time.DateOnly))
	}
	if err := leaf.VerifyHostname(host); err != nil {
		out = append(out, fmt.Sprintf("the certificate is not for %q but for %s", host, namesOf(leaf)))
	}
	middle := x509.NewCertPool()
	for _, c := range chain {
		middle.AddCert(c)
	}
	at := now // unless that was said already: is it trusted apart from that?
	switch {
	case now.After(leaf.NotAfter):
		at = leaf.NotAfter.Add(-time.Second)
	case now.Before(leaf.NotBefore):
		at = leaf.NotBefore.Add(time.Second)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: at}); err != nil {
		out = append(out, chainProblem(err, len(chain)))
	}
	return out
}

func namesOf(leaf *x509.Certificate) string {
	names := make([]string, 0, len(leaf.DNSNames)+len(leaf.IPAddresses))
	names = append(names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	if len(names) == 0 {
		return "no host"
	}
	return short(strings.Join(names, ", "))
}

func chainProblem(err error, between int) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if between == 0 {
			return "nobody that this machine trusts signed the certificate, or the server leaves out who stands between"
		}
		return "nobody that this machine trusts signed the certificate"
	}
	return short(err.Error())
}

// notes tells what is wrong, where the trace went on.
func (s *TLS) notes(hop *Hop) {
	for _, p := range s.Problems {
		hop.note("tls", "%s", p)
	}
	if left := time.Until(s.NotAfter); left > 0 && left < endsSoon {
		hop.note("tls-ends-soon", "the certificate ends on %s", s.NotAfter.Format(time.DateOnly))
	}
}

// HSTS is a Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	MaxAge     int64  `json:"maxAge"` // seconds
	Subdomains bool   `json:"includeSubDomains"`
	Preload    bool   `json:"preload"`
	Ignored    string `json:"ignored,omitempty"` // why clients do not heed it
}

// hstsOf reads the first header, as clients do; nil where there is none.
func hstsOf(h http.Header, from *url.URL) *HSTS {
	values := h.Values("Strict-Transport-Security")
	if len(values) == 0 {
		return nil
	}
	out := parseHSTS(values[0])
	_, err := netip.ParseAddr(from.Hostname())
	switch {
	case from.Scheme != "https":
		out.Ignored = "it came by http"
	case err == nil:
		out.Ignored = "the host is an address"
	}
	return out
}

// parseHSTS is RFC 6797 section 6.1: max-age must be there, no directive twice.
func parseHSTS(text string) *HSTS {
	out := &HSTS{}
	seen := map[string]bool{}
	for directive := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(directive, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if name == "" {
			continue
		}
		if seen[name] {
			out.Ignored = short(fmt.Sprintf("%q is there twice", name))
		}
		seen[name] = true
		switch name {
		case "max-age":
			age, ok := seconds(unquote(strings.Trim(value, " \t")))
			if !ok {
				out.Ignored = "max-age is not a number"
			}
			out.MaxAge = age
		case "includesubdomains":
			out.Subdomains = true
		case "preload":
			out.Preload = true
		}
	}
	if !seen["max-age"] {
		out.Ignored = "max-age is missing"
	}
	return out
}

// maxSeconds is what a greater delta-seconds counts as (RFC 9111 section 1.2.2).
const maxSeconds = 1 << 31

// seconds reads a delta-seconds.
func seconds(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxSeconds { // too great for the type
		n = maxSeconds
	}
	return n, true
}

func unquote(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}
