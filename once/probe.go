package once

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// Probe asks somebody what became of an uncertain submission. It must be safe to
// ask more than once.
type Probe func(ctx context.Context, s Summary) (ProbeAnswer, error)

// ProbeAnswer is what a probe found out.
type ProbeAnswer uint8

// What a probe may say.
const (
	ProbeUnknown    ProbeAnswer = iota // it stays uncertain
	ProbeApplied                       // it happened: its duplicates get 409, there is no answer to repeat
	ProbeNotApplied                    // it did not happen: who asks runs it
)

// Limits of probing.
const (
	probeTime    = 10 * time.Second // of one probe
	maxProbes    = 32               // at one time; more are told to ask later
	maxProbeBody = 64 << 10         // bytes of an answer that are read
)

// HTTPProbe asks a URL with GET. Its query gets the record's id, key hash, method,
// host, path and the time of the start, and the answer is 200 with a JSON object:
//
//	{"outcome": "applied"}     or "not-applied", or "unknown"
//
// Anything else, redirects included, is unknown, and an error that says why. The
// client's own key is not kept, so that its SHA-256 in hex is what the other side
// must know it by.
func HTTPProbe(rawURL string) (Probe, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("probe %.200q: want an http or https URL without user and fragment", rawURL)
	}
	client := &http.Client{
		Timeout:       probeTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, s Summary) (ProbeAnswer, error) { return askHTTP(ctx, client, u, s) }, nil
}

func askHTTP(ctx context.Context, client *http.Client, u *url.URL, s Summary) (ProbeAnswer, error) {
	to := *u
	q := to.Query()
	for name, value := range map[string]string{
		"record": s.ID, "key_hash": s.KeyHash, "method": s.Method, "host": s.Host, "path": s.Path, "started": s.Started.UTC().Format(time.RFC3339Nano),
	} {
		q.Set(name, value)
	}
	to.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), http.NoBody)
	if err != nil {
		return ProbeUnknown, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return ProbeUnknown, errors.Unwrap(err) // without the URL
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != http.StatusOK {
		return ProbeUnknown, fmt.Errorf("status %d", res.StatusCode)
	}
	var said struct {
		Outcome string `json:"outcome"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProbeBody)).Decode(&said); err != nil {
		return ProbeUnknown, err
	}
	switch said.Outcome {
	case "applied":
		return ProbeApplied, nil
	case "not-applied":
		return ProbeNotApplied, nil
	case "unknown":
		return ProbeUnknown, nil
	}
	return ProbeUnknown, fmt.Errorf("outcome %.64q: want applied, not-applied or unknown", said.Outcome)
}

// probes asks about each record once at a time.
type probes struct {
	flight singleflight.Group
	places chan struct{}
}

// probe asks about an uncertain record and writes the answer down. changed says
// that the record may be another one now.
func (x *exchange) probe(f finding) (changed bool) {
	said, err, _ := x.guard.probes.flight.Do(f.record.Key, func() (any, error) { return x.probeOnce(f), nil })
	changed, _ = said.(bool)
	return changed && err == nil
}

func (x *exchange) probeOnce(f finding) bool {
	g := x.guard
	select {
	case g.probes.places <- struct{}{}:
		defer func() { <-g.probes.places }()
	default:
		return false // too many at one time: it stays uncertain
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), probeTime)
	defer cancel()
	s, err := g.summarize(f.record)
	if err != nil {
		return false
	}
	said, err := x.policy.Probe(ctx, s)
	reason := "the probe does not know"
	if err != nil {
		reason = "the probe failed: " + cut(err.Error())
	}
	as := ""
	switch said {
	case ProbeApplied:
		as, reason = StateCompleted, "the probe says that it happened"
	case ProbeNotApplied:
		as, reason = StateReleased, "the probe says that it did not happen"
	case ProbeUnknown:
	}
	g.counts.add("probed")
	g.observe(ctx, seeother.Decision{
		Action: "probed", Route: f.entry.Route, Stage: x.policy.Stage, Applied: true, Method: f.entry.Method, Path: f.entry.Path, Reason: reason, Record: f.record.Key,
	})
	if as == "" {
		return false
	}
	_, err = g.Resolve(ctx, f.record.Key, Resolution{As: as, Note: reason, by: "a probe"})
	// Somebody else may have been faster: then it is another record, too.
	return err == nil || errors.Is(err, ErrNotUncertain) || errors.Is(err, store.ErrConflict)
}
