package form

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// Limits of searches, in bytes.
const (
	maxSearchBody  = 64 << 10 // a longer form goes to next as it is
	maxSearchQuery = seeother.MaxTarget
)

// Search gives each search one URL, which can be kept, sent on and gone back to. A
// search that is POSTed as application/x-www-form-urlencoded is answered with 303
// to its GET URL, which holds the listed fields and no others: tokens and buttons
// stay behind. A GET or HEAD whose parameters are not in their canonical form is
// answered with 307 to it; see Canonical. It must not be changed once Handler was
// called.
type Search struct {
	Fields   []string          // names of the fields that make up a search, in their order
	Defaults map[string]string // values that need not be said, by field: "page": "1"

	Only      bool     // a GET loses parameters that are not listed
	Tracking  bool     // a GET loses parameters that only follow people about: see DefaultTracking
	FoldNames bool     // "Q" is "q": names of listed fields count in any case, and are written as listed
	FoldCase  []string // listed fields whose values mean the same in any case: ASCII letters become small

	Stage seeother.Stage
	Route string // the route's name, for Decisions

	// Client identifies the client for a canary. Nil: the host of RemoteAddr.
	Client func(*http.Request) string
	// Observe is told of every redirect that was or would have been made. Nil: nobody is.
	Observe seeother.Observer
}

// DefaultTracking are the parameters that Tracking drops where they are not listed;
// a star at the end stands for any rest. They tell an advertiser where somebody came
// from, and an app nothing.
var DefaultTracking = []string{
	"utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "srsltid", "_gl", "_ga",
	"fbclid", "igshid", "igsh", "msclkid", "ttclid", "twclid", "li_fat_id", "epik", "yclid", "ysclid", "_openstat",
	"mc_cid", "mc_eid", "_hsenc", "_hsmi", "hsa_*", "mkt_tok", "vero_id", "oly_enc_id", "oly_anon_id", "_kx", "mtm_*", "pk_campaign", "pk_kwd", "pk_source", "pk_medium",
}

// Validate reports everything that is wrong with s, joined.
func (s Search) Validate() error {
	var errs []error
	if len(s.Fields) == 0 {
		errs = append(errs, errors.New("fields: none are listed"))
	}
	seen := make(map[string]bool, len(s.Fields))
	for _, field := range s.Fields {
		key := s.folded(field)
		if field == "" || seen[key] {
			errs = append(errs, fmt.Errorf("field %q: it is empty, or listed twice", field))
		}
		seen[key] = true
	}
	for field := range s.Defaults {
		if !slices.Contains(s.Fields, field) {
			errs = append(errs, fmt.Errorf("default of %q: it is no listed field", field))
		}
	}
	for _, field := range s.FoldCase {
		if !slices.Contains(s.Fields, field) {
			errs = append(errs, fmt.Errorf("fold case of %q: it is no listed field", field))
		}
	}
	return errors.Join(errs...)
}

// Handler answers with redirects as s says, and sends all else to next as it came.
func (s Search) Handler(next http.Handler) http.Handler {
	if s.Stage == seeother.Off {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			if s.canonical(w, r) {
				return
			}
		case http.MethodPost:
			if s.submitted(w, r) {
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// canonical answers a GET whose URL is not the one of its search.
func (s *Search) canonical(w http.ResponseWriter, r *http.Request) bool {
	query, changed := s.Canonical(askedFor(r).RawQuery)
	if !changed {
		return false
	}
	return s.redirect(w, r, query, seeother.IntentTemporary, "the same search has one URL")
}

// submitted answers a POSTed search.
func (s *Search) submitted(w http.ResponseWriter, r *http.Request) bool {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" || r.ContentLength > maxSearchBody {
		return false
	}
	if r.Header.Get("Content-Encoding") != "" {
		return false
	}
	body, whole := takeBody(r)
	if !whole {
		return false
	}
	query := s.Submitted(askedFor(r).RawQuery, body)
	return s.redirect(w, r, query, seeother.IntentResult, "a search that is a URL can be refreshed, kept and gone back to")
}

// takeBody reads a short body, and puts it back for whoever comes next. A longer
// one, and one that breaks off, is for next to meet.
func takeBody(r *http.Request) (text string, whole bool) {
	read, err := io.ReadAll(io.LimitReader(r.Body, maxSearchBody+1))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failing{err}
	}
	r.Body = restoredBody{io.MultiReader(bytes.NewReader(read), rest), r.Body}
	return string(read), err == nil && len(read) <= maxSearchBody
}

type restoredBody struct {
	io.Reader
	io.Closer
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// searchTarget is a path with a query, written so that it stays that path on this
// site; false: there is no such thing.
func searchTarget(path, query string) (string, bool) {
	target := path
	if query != "" {
		target += "?" + strings.ReplaceAll(query, "#", "%23")
	}
	t, err := seeother.ParseTarget(target, nil)
	if err != nil {
		return "", false
	}
	was, _, _ := strings.Cut(t.Location(), "?")
	return t.Location(), was == path
}

// redirect answers r with its path and another query, if there can be such a
// Location and the stage acts.
func (s *Search) redirect(w http.ResponseWriter, r *http.Request, query string, intent seeother.Intent, reason string) bool {
	path := askedFor(r).EscapedPath()
	target, ok := searchTarget(path, query)
	if !ok {
		return false
	}
	client := ""
	if s.Stage.IsCanary() {
		client = clientOf(r, s.Client)
	}
	status := seeother.Status(intent, r.Method, false)
	d := seeother.Decision{
		Time: time.Now(), Policy: "search", Action: fmt.Sprint(status), Route: s.Route, Stage: s.Stage, Applied: s.Stage.Acts(client),
		Method: r.Method, Path: path, After: status, Reason: reason,
	}
	if s.Observe != nil {
		s.Observe(r.Context(), d)
	}
	if !d.Applied {
		return false
	}
	if s.Stage.IsCanary() {
		w.Header().Set("Cache-Control", "private, no-store")
	}
	seeother.Redirect{Status: status, Target: target}.ServeHTTP(w, r)
	return true
}
