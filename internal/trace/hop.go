package trace

import "fmt"

// Trace is what became of a request. It holds no values of cookies, and of
// bodies only how long they were.
type Trace struct {
	Hops   []*Hop  `json:"hops"`
	End    End     `json:"end"`
	Others []Other `json:"others"`

	own []string // what of carried the request had
}

// Kind is how a trace ended.
type Kind string

// The kinds of End.
const (
	Arrived     Kind = "arrived"      // with 2xx
	ErrorStatus Kind = "error-status" // any other answer that no client follows
	Loop        Kind = "loop"
	TooMany     Kind = "too-many-hops"
	Refused     Kind = "refused"   // a Location that no client should follow
	Untrusted   Kind = "untrusted" // the certificate, or the TLS version
	TimedOut    Kind = "timeout"
	Interrupted Kind = "interrupted" // whoever called Run did not want to wait
	NoAnswer    Kind = "no-answer"   // the name, the connection, or no HTTP
)

// End is how and where a trace ended.
type End struct {
	Kind   Kind   `json:"kind"`
	Text   string `json:"text"`
	Status int    `json:"status,omitempty"` // of the last hop that has one
	URL    string `json:"url,omitempty"`
}

// Hop is one request and its answer.
type Hop struct {
	Method      string   `json:"method"`
	URL         string   `json:"url"`
	BodySent    int      `json:"bodySent"` // bytes
	CookiesSent []string `json:"cookiesSent,omitempty"`

	Address     string   `json:"address,omitempty"` // of whom it was connected to, a proxy too
	Proxy       string   `json:"proxy,omitempty"`
	Protocol    string   `json:"protocol,omitempty"`
	Status      int      `json:"status,omitempty"`
	Location    string   `json:"location,omitempty"` // as the server wrote it, but for a user
	ContentType string   `json:"contentType,omitempty"`
	CookiesSet  []Cookie `json:"cookiesSet,omitempty"`
	TLS         *TLS     `json:"tls,omitempty"`
	HSTS        *HSTS    `json:"hsts,omitempty"`
	Cache       *Cache   `json:"cache,omitempty"`
	Time        Time     `json:"time"`
	Next        *Next    `json:"next,omitempty"`
	Notes       []Note   `json:"notes,omitempty"`
	Error       string   `json:"error,omitempty"` // there was no answer
}

// Next is what a client that keeps to the Fetch standard does with an answer.
type Next struct {
	Method         string   `json:"method"`
	URL            string   `json:"url"`
	BodyKept       bool     `json:"bodyKept"`
	BodyDropped    int      `json:"bodyDropped"` // bytes
	HeadersDropped []string `json:"headersDropped,omitempty"`
	CrossOrigin    bool     `json:"crossOrigin"`
	Downgrade      bool     `json:"downgrade"` // from https to http
}

// Time is how long a hop took, in milliseconds. What a connection that was open
// already did not need is 0.
type Time struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"firstByte"` // from the request to the answer
	Total     float64 `json:"total"`     // to the end of the header
}

// Note is something about a hop that somebody should know.
type Note struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

func (h *Hop) note(id, format string, args ...any) {
	h.Notes = append(h.Notes, Note{id, fmt.Sprintf(format, args...)})
}
