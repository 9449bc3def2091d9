package edge

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the gateway's own figures. Labels are route templates, codes and names from contracts: never what a client sent.
type Metrics struct {
	seconds   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	local     prometheus.Counter
	sources   *prometheus.CounterVec
	strangers *prometheus.GaugeVec
	answers   *prometheus.CounterVec
	bodies    func(name string, r *room)
}

// NewMetrics registers the figures; age is the age of the list of revocations.
func NewMetrics(reg prometheus.Registerer, age func() time.Duration) *Metrics {
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gateway_request_seconds",
			Help:    "Requests by listener, route template and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"listener", "route", "status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_refusals_total", Help: "Refused requests by problem code."},
			[]string{"code"}),
		local: prometheus.NewCounter(prometheus.CounterOpts{Name: "gateway_local_limits_total", Help: "Rate-limit decisions without Redis."}),
		sources: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_webhook_strange_sources_total",
			Help: "Webhooks from unlisted addresses."}, []string{"hook"}),
		strangers: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gateway_webhook_only_strangers",
			Help: "1 when all accepted webhooks of a kind lately came from unlisted addresses."}, []string{"hook"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_contract_breaks_total",
			Help: "Sampled answers that break the contract."}, []string{"operation"}),
	}
	reg.MustRegister(m.seconds, m.refusals, m.local, m.sources, m.strangers, m.answers, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_revocations_age_seconds", Help: "Age of the list of revocations; alarm above 5."},
		func() float64 { return age().Seconds() }))
	m.bodies = func(name string, r *room) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gateway_body_bytes", Help: "Bytes of bodies in memory, by listener.",
			ConstLabels: prometheus.Labels{"listener": name}}, r.bytes))
	}
	return m
}

// Local counts a decision without Redis.
func (m *Metrics) Local() { m.local.Inc() }

func (m *Metrics) refused(code string) { m.refusals.WithLabelValues(code).Inc() }
func (m *Metrics) strange(kind string) { m.sources.WithLabelValues(kind).Inc() }
func (m *Metrics) broken(op string)    { m.answers.WithLabelValues(op).Inc() }

func (m *Metrics) room(name string, r *room) { m.bodies(name, r) }

func (m *Metrics) onlyStrangers(kind string, all bool) {
	value := 0.0
	if all {
		value = 1
	}
	m.strangers.WithLabelValues(kind).Set(value)
}

func (m *Metrics) observe(x *exchange, listener string, status int, took time.Duration) {
	m.seconds.WithLabelValues(listener, x.template(), strconv.Itoa(status)).Observe(took.Seconds())
}
