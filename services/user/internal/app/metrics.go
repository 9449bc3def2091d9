package app

import "github.com/prometheus/client_golang/prometheus"

// metrics count what an operator has to see coming: somebody guessing, and cases that pile up.
type metrics struct {
	callbacksRefused prometheus.Counter
	pinRefused       *prometheus.CounterVec
	refreshReused    prometheus.Counter
	recoveryFraud    prometheus.Counter
	kycDecided       *prometheus.CounterVec
	limited          *prometheus.CounterVec
	unreadable       prometheus.Counter
	glass            prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		callbacksRefused: prometheus.NewCounter(prometheus.CounterOpts{Name: "user_kyc_callbacks_refused_total",
			Help: "Callbacks whose path token was wrong."}),
		pinRefused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_pin_refused_total", Help: "PIN tries that failed, by reason."},
			[]string{"reason"}),
		refreshReused: prometheus.NewCounter(prometheus.CounterOpts{Name: "user_refresh_reused_total",
			Help: "Sessions closed because a refresh token was used twice."}),
		recoveryFraud: prometheus.NewCounter(prometheus.CounterOpts{Name: "user_recovery_fraud_total",
			Help: "Recoveries that two people approved and the customer stopped on a bound device."}),
		kycDecided: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_kyc_decided_total", Help: "Identity verifications by outcome."},
			[]string{"outcome"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_limited_total",
			Help: "Requests for codes and tries to sign in that were refused, by limit."}, []string{"limit"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: "user_unreadable_total",
			Help: "Readings of identity details that could not be opened."}),
		glass: prometheus.NewGauge(prometheus.GaugeOpts{Name: "user_break_glass_uses",
			Help: "How often the command line did alone what needs two people, in the last 24 hours."}),
	}
	registry.MustRegister(m.callbacksRefused, m.pinRefused, m.refreshReused, m.recoveryFraud, m.kycDecided, m.limited, m.unreadable, m.glass)
	return m
}
