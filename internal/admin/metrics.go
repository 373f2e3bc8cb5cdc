package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seeother/seeother"
)

// Limits that keep the number of time series bounded, whatever clients and
// apps send.
const (
	firstCode, lastCode = 100, 599
	maxDecisionSeries   = 500 // further kinds of decisions are counted as "other"
)

// knownMethods are the values of the label "method"; all else is "other".
var knownMethods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodConnect, http.MethodTrace, "QUERY", "other",
}

const otherMethod = len(knownMethods) - 1

// upstreamErrors are the values of the label "kind"; all else is "other".
var upstreamErrors = [...]string{"connect", "timeout", "reset", "protocol", "canceled", "other"}

// Metrics counts what passes the gateway, for Prometheus. Make it with
// NewMetrics. Methods are safe for concurrent use, do not block, and do not
// allocate once a series exists.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	codes     [len(knownMethods)][lastCode - firstCode + 2]atomic.Pointer[prometheus.Counter] // the last is for no code
	durations [len(knownMethods)]prometheus.Observer
	inFlight  prometheus.Gauge

	upstreamSeconds prometheus.Histogram
	upstreamFailed  [len(upstreamErrors)]prometheus.Counter

	rules       prometheus.Gauge
	rulesLoaded prometheus.Gauge
	rulesStale  prometheus.Gauge
	rulesReads  *prometheus.CounterVec

	decisions *prometheus.CounterVec
	mu        sync.RWMutex
	kinds     map[kind]prometheus.Counter // guarded by mu; at most maxDecisionSeries, and a few named "other"
}

// kind is what two decisions have in common that are counted together.
type kind struct {
	policy, action, stage string
	applied               bool
}

// NewMetrics returns metrics with a registry of their own, which also holds
// those of the Go runtime and of the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), kinds: make(map[kind]prometheus.Counter)}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seeother_http_requests_total",
		Help: "Requests that the gateway answered, by method and status; code 0 means that none was sent, or none from 100 to 599.",
	}, []string{"method", "code"})
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "seeother_http_request_duration_seconds",
		Help:    "Time from the request's header to the end of the answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"method"})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seeother_http_requests_in_flight",
		Help: "Requests that are being answered now.",
	})
	m.upstreamSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "seeother_upstream_response_header_seconds",
		Help:    "Time from sending a request to the app to the header of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	})
	upstreamFailed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seeother_upstream_errors_total",
		Help: "Requests that got no whole answer from the app, by what went wrong.",
	}, []string{"kind"})
	m.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seeother_decisions_total",
		Help: "What policies did, or (applied false) would have done.",
	}, []string{"policy", "action", "stage", "applied"})
	m.newRules()
	m.registry.MustRegister(
		m.requests, durations, m.inFlight, m.upstreamSeconds, upstreamFailed, m.decisions,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for i, method := range knownMethods {
		m.durations[i] = durations.WithLabelValues(method)
	}
	for i, name := range upstreamErrors {
		m.upstreamFailed[i] = upstreamFailed.WithLabelValues(name)
	}
	return m
}

func (m *Metrics) newRules() {
	m.rules = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seeother_rules", Help: "Redirect rules in force, without those that canonical makes.",
	})
	m.rulesLoaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seeother_rules_loaded_timestamp_seconds", Help: "When the redirect rules in force were read; 0 where there are none.",
	})
	m.rulesStale = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seeother_rules_stale", Help: "1 when the files of the rules changed and were refused, so that older rules are in force.",
	})
	m.rulesReads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seeother_rules_reload_total", Help: "How often the redirect rules were read, the start included, by whether they are good.",
	}, []string{"result"})
	for _, result := range []string{"ok", "refused"} {
		m.rulesReads.WithLabelValues(result)
	}
	m.registry.MustRegister(m.rules, m.rulesLoaded, m.rulesStale, m.rulesReads)
}

// RulesLoaded says that so many rules are in force.
func (m *Metrics) RulesLoaded(rules int, at time.Time) {
	m.rules.Set(float64(rules))
	m.rulesLoaded.Set(0)
	if !at.IsZero() {
		m.rulesLoaded.Set(float64(at.UnixMilli()) / 1000)
	}
	m.rulesStale.Set(0)
	m.rulesReads.WithLabelValues("ok").Inc()
}

// RulesRefused says that rules were read and are not in force.
func (m *Metrics) RulesRefused() {
	m.rulesStale.Set(1)
	m.rulesReads.WithLabelValues("refused").Inc()
}

// RequestStarted counts a request in. Each call wants one RequestDone.
func (m *Metrics) RequestStarted() { m.inFlight.Inc() }

// RequestDone counts a request out. code is the status that was sent, 0 for
// none; d is the time since RequestStarted.
func (m *Metrics) RequestDone(method string, code int, d time.Duration) {
	m.inFlight.Dec()
	i := methodIndex(method)
	m.durations[i].Observe(d.Seconds())
	m.code(i, code).Inc()
}

// UpstreamAnswered takes the time that the app needed for the header of an
// answer.
func (m *Metrics) UpstreamAnswered(d time.Duration) { m.upstreamSeconds.Observe(d.Seconds()) }

// UpstreamFailed counts a request that got no whole answer: "connect",
// "timeout", "reset", "protocol" or "canceled"; all else is "other".
func (m *Metrics) UpstreamFailed(kind string) {
	for i, name := range upstreamErrors {
		if name == kind {
			m.upstreamFailed[i].Inc()
			return
		}
	}
	m.upstreamFailed[len(upstreamErrors)-1].Inc()
}

// Observe counts a decision. It is a seeother.Observer.
func (m *Metrics) Observe(_ context.Context, d seeother.Decision) {
	k := kind{policy: d.Policy, action: d.Action, stage: stageLabel(d.Stage), applied: d.Applied}
	m.mu.RLock()
	c := m.kinds[k]
	m.mu.RUnlock()
	if c == nil {
		c = m.newKind(k)
	}
	c.Inc()
}

func (m *Metrics) newKind(k kind) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kinds) >= maxDecisionSeries {
		k.policy, k.action = "other", "other"
	}
	if c := m.kinds[k]; c != nil {
		return c
	}
	// The library panics on labels that are not UTF-8.
	policy, action := strings.ToValidUTF8(k.policy, "\uFFFD"), strings.ToValidUTF8(k.action, "\uFFFD")
	c := m.decisions.WithLabelValues(policy, action, k.stage, strconv.FormatBool(k.applied))
	m.kinds[k] = c
	return c
}

// code returns the counter of a status, and makes it when it is the first of
// its kind.
func (m *Metrics) code(method, code int) prometheus.Counter {
	slot := code - firstCode
	if code < firstCode || code > lastCode {
		code, slot = 0, lastCode-firstCode+1
	}
	p := &m.codes[method][slot]
	if c := p.Load(); c != nil {
		return *c
	}
	c := m.requests.WithLabelValues(knownMethods[method], strconv.Itoa(code))
	p.Store(&c)
	return c
}

func methodIndex(method string) int {
	for i := range otherMethod {
		if knownMethods[i] == method {
			return i
		}
	}
	return otherMethod
}

// stageLabel leaves out the percentage, which would make a series of each.
func stageLabel(s seeother.Stage) string {
	if s.IsCanary() {
		return "canary"
	}
	return s.String()
}
