package seeother

import (
	"net/http"
	"strconv"
)

// Intent is what a redirect is for. The status follows from it; see [Status].
// The zero value is IntentResult.
type Intent uint8

// The intents.
const (
	IntentResult    Intent = iota // the answer to what was just submitted is over there
	IntentTemporary               // same request, other place, for now
	IntentMoved                   // same request, other place, for good
	IntentGone                    // nothing is there any more
)

// String is the intent's name in configurations: "result", "temporary",
// "moved", "gone".
func (i Intent) String() string {
	switch i {
	case IntentResult:
		return "result"
	case IntentTemporary:
		return "temporary"
	case IntentMoved:
		return "moved"
	case IntentGone:
		return "gone"
	}
	return "intent " + strconv.Itoa(int(i))
}

// Status is the status that says intent to a client that sent method, or 0 for
// an intent that does not exist. Legacy is for old clients and link previews
// that do not know 307 and 308: GET and HEAD get 302 and 301 instead, which
// mean the same for those two methods only (RFC 9110 section 15.4).
func Status(intent Intent, method string, legacy bool) int {
	legacy = legacy && (method == http.MethodGet || method == http.MethodHead)
	switch {
	case intent == IntentResult:
		return http.StatusSeeOther
	case intent == IntentTemporary && legacy:
		return http.StatusFound
	case intent == IntentTemporary:
		return http.StatusTemporaryRedirect
	case intent == IntentMoved && legacy:
		return http.StatusMovedPermanently
	case intent == IntentMoved:
		return http.StatusPermanentRedirect
	case intent == IntentGone:
		return http.StatusGone
	}
	return 0
}
