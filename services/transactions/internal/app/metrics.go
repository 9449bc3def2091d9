package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the ledger.
type metrics struct {
	batches      prometheus.Counter
	transactions prometheus.Counter
	unsealed     prometheus.Gauge
	strayed      prometheus.Gauge
}

func newMetrics() metrics {
	return metrics{
		batches: prometheus.NewCounter(prometheus.CounterOpts{Name: "ledger_batches_total",
			Help: "Database transactions that decided requests."}),
		transactions: prometheus.NewCounter(prometheus.CounterOpts{Name: "ledger_transactions_total",
			Help: "Requests that were decided, repeats included."}),
		unsealed: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ledger_unsealed_seconds",
			Help: "Age of the oldest committed transaction that has no place in the tree."}),
		strayed: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ledger_default_partition_used",
			Help: "1 while rows lie in the partition that catches what no month takes."}),
	}
}

// Register exports the ledger's metrics.
func (a *App) Register(r prometheus.Registerer) {
	r.MustRegister(a.metrics.batches, a.metrics.transactions, a.metrics.unsealed, a.metrics.strayed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ledger_waiting_transactions", Help: "Transactions that wait to be committed.",
		}, func() float64 { return float64(a.group.depth()) }))
}

// measureUnsealed keeps the last figure when the database does not answer: the pass that failed for the same reason is reported.
func (a *App) measureUnsealed(ctx context.Context) {
	now := a.clock()
	row, err := a.q.QueueState(ctx, a.pool, now)
	if err != nil {
		return
	}
	age := 0.0
	if row.Batches > 0 {
		age = max(0, now.Sub(row.Oldest).Seconds())
	}
	a.metrics.unsealed.Set(age)
}
