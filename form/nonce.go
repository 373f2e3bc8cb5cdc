package form

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// DefaultSessions are the session cookies of well-known frameworks that come with
// a login and go with a logout.
var DefaultSessions = []string{
	"sessionid", "PHPSESSID", "JSESSIONID", "session", "connect.sid", "laravel_session", "ci_session",
	"wordpress_logged_in_*", "remember_token", "remember_user_token", "remember_web_*",
	".AspNetCore.Identity.Application", ".AspNetCore.Cookies", ".ASPXAUTH", "SESS*", "SSESS*",
}

// noncesOf are the nonces of r's browser: its own, and the one that it had before
// it logged in. Both are empty where it has none.
func noncesOf(r *http.Request, secure bool) (nonce, before string) {
	nonce, before, two := strings.Cut(readCookie(r, nonceCookie, secure), ".")
	if !isNonce(nonce) || two && !isNonce(before) {
		return "", ""
	}
	return nonce, before
}

func isNonce(text string) bool {
	if len(text) != nonceChars {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// hashNonce is a nonce as the store gets it.
func hashNonce(nonce string) string {
	sum := sha256.Sum256([]byte("seeother nonce " + nonce))
	return hex.EncodeToString(sum[:])
}

// change is what an answer says about who uses the browser.
type change uint8

const (
	sameUser change = iota
	login
	logout
)

// changeOf reads the session cookies that an answer sets. A new one is a login only
// in answer to what was submitted: many sites give one to whoever looks at a page.
func (f *Forms) changeOf(r *http.Request, answer http.Header) change {
	found := sameUser
	for _, line := range answer["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil || !f.isSession(c.Name) {
			continue
		}
		had := len(r.CookiesNamed(c.Name)) > 0
		gone := c.MaxAge < 0 || c.Value == "" || !c.Expires.IsZero() && c.Expires.Before(time.Now())
		switch {
		case gone && had:
			return logout
		case !gone && !had && r.Method == http.MethodPost:
			found = login
		}
	}
	return found
}

func (f *Forms) isSession(name string) bool {
	for _, pattern := range f.cfg.Sessions {
		prefix, open := strings.CutSuffix(pattern, "*")
		if name == pattern || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// renew gives the browser a new nonce where somebody else may be using it from now
// on. After a login, forms that were open before are still known.
func (f *Forms) renew(v *visit, r *http.Request, answer http.Header) {
	who := f.changeOf(r, answer)
	if v.policy.Renew {
		who = logout
	}
	switch {
	case who == sameUser || !v.acts:
		return
	case who == logout: // also where another site's POST comes without the nonce
		giveNonce(answer, newNonce(), v.secure)
	case v.nonce != "":
		giveNonce(answer, newNonce()+"."+v.nonce, v.secure)
	}
}

// giveNonce puts the nonce cookie into an answer. A cache that serves many must not
// keep it: they would all be one browser.
func giveNonce(answer http.Header, value string, secure bool) {
	setCookie(answer, nonceCookie, value, secure, 0)
	for name := range answer {
		if isForSharedCaches(name) {
			delete(answer, name)
		}
	}
	answer.Set("Cache-Control", privately(answer.Values("Cache-Control")))
}

// nonceAfter is the nonce that the browser has once it got an answer; empty: none.
func (v *visit) nonceAfter(answer http.Header) string {
	return cmp.Or(given(answer, v.secure), v.nonce)
}

// given is the nonce that an answer gives to the browser; empty: none.
func given(answer http.Header, secure bool) string {
	for _, line := range answer["Set-Cookie"] {
		if rest, ok := strings.CutPrefix(line, cookieName(nonceCookie, secure)+"="); ok {
			value, _, _ := strings.Cut(rest, ";")
			nonce, _, _ := strings.Cut(value, ".")
			if isNonce(nonce) {
				return nonce
			}
		}
	}
	return ""
}
