package admin

import (
	"context"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seeother/seeother/once"
)

// onceMetrics reads the run-once guard's numbers when they are asked for.
type onceMetrics struct {
	once                              onceStats
	requests, records, active, memory *prometheus.Desc
}

// onceStats is a guard, or several that are counted together.
type onceStats interface{ Stats() once.Stats }

func newOnceMetrics(o onceStats) onceMetrics {
	return onceMetrics{
		once: o,
		requests: prometheus.NewDesc("seeother_once_requests_total",
			"What became of requests and records of the run-once guard.", []string{"outcome"}, nil),
		records: prometheus.NewDesc("seeother_once_records",
			"Run-once records that are not settled: started ones of this process, uncertain ones of the store.", []string{"state"}, nil),
		active: prometheus.NewDesc("seeother_once_requests_active",
			"Guarded requests that run or wait now.", nil, nil),
		memory: prometheus.NewDesc("seeother_once_memory_bytes",
			"Memory that bodies and answers of guarded requests take now.", nil, nil),
	}
}

func (m onceMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.records, m.active, m.memory} {
		out <- d
	}
}

func (m onceMetrics) Collect(out chan<- prometheus.Metric) {
	stats := m.once.Stats()
	for outcome, n := range stats.Outcomes {
		out <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n), outcome)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	gauge(m.records, float64(stats.Running), "started")
	gauge(m.records, float64(stats.Uncertain), "uncertain")
	gauge(m.active, float64(stats.Active))
	gauge(m.memory, float64(stats.Memory))
}

// stateGauge is 1 while something holds and 0 while it does not.
func stateGauge(name, help string, holds func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		if holds() {
			return 1
		}
		return 0
	})
}

// checkMetrics reports the checks of readiness: 1 is ready.
type checkMetrics struct {
	checks func(context.Context) []Check
	ready  *prometheus.Desc
}

func newCheckMetrics(checks func(context.Context) []Check) checkMetrics {
	return checkMetrics{checks: checks, ready: prometheus.NewDesc("seeother_check_ready",
		"1 when the check passes, 0 when it fails.", []string{"check"}, nil)}
}

func (m checkMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.ready }

func (m checkMetrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.checks(context.Background()) {
		value := 0.0
		if c.OK {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(m.ready, prometheus.GaugeValue, value, c.Name)
	}
}

// newMetricsHandler adds to the metrics of the gateway what only is known here.
func (h *Handler) newMetricsHandler() http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(buildInfo(h.cfg.Version), newCheckMetrics(h.health.checks))
	if h.src.Once != nil {
		own.MustRegister(newOnceMetrics(h.src.Once))
	}
	if h.src.Maintenance != nil {
		own.MustRegister(stateGauge("seeother_maintenance_active", "1 while the site is down on purpose.", h.src.Maintenance.Active))
	}
	if h.src.Healthy != nil {
		own.MustRegister(stateGauge("seeother_upstream_healthy", "1 when the app passes its health checks, 0 when it is unhealthy.", h.src.Healthy))
	}
	all := prometheus.Gatherers{own}
	if h.src.Metrics != nil {
		all = append(all, h.src.Metrics.registry)
	}
	return scraped(all)
}

func buildInfo(version string) prometheus.Collector {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "seeother_build_info", Help: "Always 1; the labels say what runs.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	return build
}

func scraped(all prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout, ErrorHandling: promhttp.HTTPErrorOnError,
	})
}

// Service is run-once as a service, as its metrics see it.
type Service interface {
	onceStats
	Checks() map[string]uint64 // by what they came to
}

// ServiceMetrics answers with the metrics of a service. ready is as for Sources.
func ServiceMetrics(version string, s Service, ready func(context.Context) []Check) http.Handler {
	all := prometheus.NewRegistry()
	all.MustRegister(
		buildInfo(version), newCheckMetrics((&health{run: ready}).checks), newOnceMetrics(s), newServiceMetrics(s),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return scraped(all)
}

// serviceMetrics reads a service's numbers when they are asked for.
type serviceMetrics struct {
	service Service
	checks  *prometheus.Desc
}

func newServiceMetrics(s Service) serviceMetrics {
	return serviceMetrics{s, prometheus.NewDesc("seeother_service_checks_total", "Checks of the run-once service, by what they came to.", []string{"status"}, nil)}
}

func (m serviceMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.checks }

func (m serviceMetrics) Collect(out chan<- prometheus.Metric) {
	for status, n := range m.service.Checks() {
		out <- prometheus.MustNewConstMetric(m.checks, prometheus.CounterValue, float64(n), status)
	}
}
