package guide

import "slices"

// Status is what there is to know about a status code, in short.
type Status struct {
	Code    int      `json:"code"`
	Name    string   `json:"name"`
	Method  string   `json:"method"`   // with which the client goes on
	Body    string   `json:"body"`     // what becomes of the request's
	Caching string   `json:"caching"`  // of the answer
	Use     string   `json:"use"`      // when it is right
	NotWhen string   `json:"not_when"` // when it is not, and what is
	Sources []string `json:"sources"`
	Recipes []Recipe `json:"recipes"` // none where frameworks do it by themselves, or should not
}

// StatusOf is the reference of a status code.
func StatusOf(code int) (Status, bool) {
	for _, s := range statuses {
		if s.Code == code {
			s.Recipes = recipes(code)
			return s, true
		}
	}
	return Status{}, false
}

// Codes are the status codes that there is a reference for.
func Codes() []int {
	var out []int
	for _, s := range statuses {
		out = append(out, s.Code)
	}
	slices.Sort(out)
	return out
}

const (
	rfc9110    = "https://www.rfc-editor.org/rfc/rfc9110#section-"
	noRedirect = "the client does not go on by itself"
	notKept    = "only with explicit freshness (Cache-Control: max-age or Expires)"
	heuristics = "may be kept without any header that says so, for as long as the client likes (RFC 9111 section 4.2.2): say Cache-Control: max-age"
)

var statuses = []Status{
	{
		Code: 300, Name: "Multiple Choices", Method: "as 302 where there is a Location and the client takes it; most show the page", Body: "not sent on",
		Caching: heuristics,
		Use:     "several representations, of which the client or the user chooses", NotWhen: "one target is meant: 302, 303 or 307",
		Sources: []string{rfc9110 + "15.4.1"},
	},
	{
		Code: 301, Name: "Moved Permanently", Method: "browsers: POST becomes GET, everything else stays; Go, python-requests and others differ for PUT and DELETE",
		Body: "dropped with POST", Caching: heuristics,
		Use: "a page that has moved for good, asked with GET and HEAD", NotWhen: "forms or API calls come to the address (308), or the move may be taken back (302, 307)",
		Sources: []string{rfc9110 + "15.4.2", fetchStandard, rfcCaching},
	},
	{
		Code: 302, Name: "Found", Method: "browsers: POST becomes GET; PUT, PATCH and DELETE are repeated as they are",
		Body: "dropped with POST", Caching: notKept,
		Use: "a page that is elsewhere for now, asked with GET", NotWhen: "it answers a submission (303), or the request must arrive as it was (307). After a DELETE it makes browsers delete the target",
		Sources: []string{rfc9110 + "15.4.3", fetchStandard},
	},
	{
		Code: 303, Name: "See Other", Method: "GET, whatever it was (HEAD stays HEAD)",
		Body: "dropped, and with it Content-Type, Content-Encoding, Content-Language, Content-Location and Content-Length", Caching: notKept,
		Use: "the result of what was submitted is over there: Post/Redirect/Get, and after PUT, PATCH and DELETE from a browser", NotWhen: "the request must be repeated at the target (307, 308), or a program waits for 201 or 204",
		Sources: []string{rfc9110 + "15.4.4", fetchStandard},
	},
	{
		Code: 304, Name: "Not Modified", Method: noRedirect, Body: "the answer has none",
		Caching: "tells that what the client has kept is still good, and renews it",
		Use:     "the answer to If-None-Match and If-Modified-Since", NotWhen: "the request has no such condition, or is not GET or HEAD (412)",
		Sources: []string{rfc9110 + "15.4.5"},
	},
	{
		Code: 305, Name: "Use Proxy", Method: noRedirect + ": clients ignore it", Body: "not sent on", Caching: notKept,
		Use: "none: deprecated, since anybody could choose a proxy for the client", NotWhen: "ever",
		Sources: []string{rfc9110 + "15.4.6"},
	},
	{
		Code: 306, Name: "(Unused)", Method: noRedirect, Body: "not sent on", Caching: notKept,
		Use: "none: reserved", NotWhen: "ever", Sources: []string{rfc9110 + "15.4.7"},
	},
	{
		Code: 307, Name: "Temporary Redirect", Method: "the same", Body: "sent again; a body that cannot be sent again ends the chain", Caching: notKept,
		Use: "the same request, elsewhere for now: API endpoints, versions, maintenance, failover", NotWhen: "it answers a form (303): the browser posts it again, to another origin, too, with the password in it",
		Sources: []string{rfc9110 + "15.4.8", fetchStandard, "https://www.rfc-editor.org/rfc/rfc9700#section-4.12"},
	},
	{
		Code: 308, Name: "Permanent Redirect", Method: "the same", Body: "sent again; a body that cannot be sent again ends the chain", Caching: heuristics,
		Use: "the same request, elsewhere for good: http to https, host and slash", NotWhen: "clients of before 2015 and link previews must follow (301 for GET and HEAD), or it answers a form (303)",
		Sources: []string{rfc9110 + "15.4.9", fetchStandard, rfcCaching},
	},
	{
		Code: 201, Name: "Created", Method: noRedirect + ", though Location names what was made", Body: "describes what was made", Caching: notKept,
		Use: "a program made something with POST or PUT", NotWhen: "a browser sent a form: it shows the body, and refresh posts again (303)",
		Sources: []string{rfc9110 + "15.3.2"},
	},
	{
		Code: 202, Name: "Accepted", Method: noRedirect + ": it asks the status URL that Location or the body names", Body: "says how far it is, or where that is said", Caching: notKept,
		Use: "it takes long, and goes on after the answer; the status URL answers 303 when it is done", NotWhen: "it is done already (200, 201, 204), or a browser waits (303 to a page that shows progress)",
		Sources: []string{rfc9110 + "15.3.3", "https://www.rfc-editor.org/rfc/rfc7240#section-4.1"},
	},
	{
		Code: 405, Name: "Method Not Allowed", Method: noRedirect, Body: "says why", Caching: heuristics,
		Use: "the address exists, but not for this method; Allow must list those it has", NotWhen: "after a 307 that should have been a 303: mend that",
		Sources: []string{rfc9110 + "15.5.6"},
	},
	{
		Code: 409, Name: "Conflict", Method: noRedirect, Body: "says what conflicts", Caching: notKept,
		Use: "the state of the thing is against it; with run-once keys: the first attempt still runs, or nobody knows how it ended", NotWhen: "the input is wrong (422), or the key belongs to another request (422)",
		Sources: []string{rfc9110 + "15.5.10", "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07#section-2.7"},
	},
	{
		Code: 410, Name: "Gone", Method: noRedirect, Body: "may say what happened", Caching: heuristics,
		Use: "it was there, and will not be again", NotWhen: "there is a successor (308), or it may come back (404)",
		Sources: []string{rfc9110 + "15.5.11"},
	},
	{
		Code: 422, Name: "Unprocessable Content", Method: noRedirect, Body: "says which fields are wrong; for a form, the form again", Caching: notKept,
		Use: "the request can be read, and what it says cannot be done: a form with mistakes; a key that comes again with another body", NotWhen: "it cannot be read (400)",
		Sources: []string{rfc9110 + "15.5.21"},
	},
	{
		Code: 425, Name: "Too Early", Method: "the client repeats the same request, once the TLS handshake is done", Body: "sent again", Caching: notKept,
		Use: "the request came in TLS early data (Early-Data: 1) and is not safe to replay", NotWhen: "the request is safe, such as GET",
		Sources: []string{"https://www.rfc-editor.org/rfc/rfc8470#section-5.2"},
	},
	{
		Code: 428, Name: "Precondition Required", Method: noRedirect, Body: "says which condition is wanted", Caching: "never kept (RFC 6585 section 3)",
		Use: "a change must name the version that it changes (If-Match), so that nobody's work is overwritten", NotWhen: "the condition came and failed (412)",
		Sources: []string{"https://www.rfc-editor.org/rfc/rfc6585#section-3"},
	},
	{
		Code: 429, Name: "Too Many Requests", Method: "a careful client repeats it after Retry-After", Body: "says which limit", Caching: "never kept (RFC 6585 section 4)",
		Use: "this client asks too often; say Retry-After", NotWhen: "the server as a whole is too busy (503)",
		Sources: []string{"https://www.rfc-editor.org/rfc/rfc6585#section-4", rfc9110 + "10.2.3"},
	},
	{
		Code: 503, Name: "Service Unavailable", Method: "a careful client repeats it after Retry-After; a POST only where it knows that nothing ran", Body: "says when to come back", Caching: notKept,
		Use: "maintenance or overload, for now; say Retry-After", NotWhen: "another server can take the request (307)",
		Sources: []string{rfc9110 + "15.6.4", rfc9110 + "10.2.3"},
	},
}
