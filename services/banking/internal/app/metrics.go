package app

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// When a person must look.
const (
	bookingAlarm = 5 * time.Minute // something decided is not booked
	doubtAlarm   = 24 * time.Hour  // money in doubt
)

type metrics struct {
	alarms, withdrawals, deposits, refunds, messages *prometheus.CounterVec
	open, openAge                                    *prometheus.GaugeVec
	doubt, doubtMinor, doubtAge                      *prometheus.GaugeVec
	due, dueAge                                      prometheus.Gauge
}

func newMetrics() metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	perRail := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"rail"})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return metrics{
		alarms:      counter("banking_alarms_total", "Things that a person must look at.", "alarm"),
		withdrawals: counter("banking_withdrawals_total", "Withdrawals by the state they came to.", "rail", "status"),
		deposits:    counter("banking_deposits_total", "Deposits by the state they came to.", "channel", "status"),
		refunds:     counter("banking_refunds_total", "Refunds by the state they came to.", "status"),
		messages:    counter("banking_messages_total", "Messages of providers by kind and verdict.", "kind", "verdict"),
		open:        perRail("banking_withdrawals_open", "Withdrawals whose end is not known and that are not in doubt yet."),
		openAge:     perRail("banking_withdrawals_open_age_seconds", "Age of the oldest of them."),
		doubt:       perRail("banking_in_doubt", "Withdrawals in doubt."),
		doubtMinor:  perRail("banking_in_doubt_minor", "Their value in minor units, fees and duty included."),
		doubtAge:    perRail("banking_in_doubt_age_seconds", "Age of the oldest of them."),
		due:         gauge("banking_bookings_due", "Decisions that are not booked yet."),
		dueAge:      gauge("banking_bookings_due_age_seconds", "Age of the oldest of them."),
	}
}

func (m metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.alarms, m.withdrawals, m.deposits, m.refunds, m.messages, m.open, m.openAge, m.doubt, m.doubtMinor,
		m.doubtAge, m.due,
		m.dueAge}
}

// Measure refreshes the gauges of what is not settled, and raises the alarm when something waits for too long.
func (a *App) Measure(ctx context.Context) error {
	now := a.Now()
	rows, err := a.q.CountWithdrawals(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	due, err := a.q.CountDueTransitions(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	deposits, err := a.q.CountDueDepositTransitions(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	refunds, err := a.q.CountDueRefundTransitions(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	due.Due = due.Due + deposits.Due + refunds.Due
	due.OldestSeconds = max(due.OldestSeconds, deposits.OldestSeconds, refunds.OldestSeconds)
	for _, rail := range domain.Rails {
		var r bankingdb.CountWithdrawalsRow // nothing is open
		if i := slices.IndexFunc(rows, func(r bankingdb.CountWithdrawalsRow) bool { return r.Rail == rail }); i >= 0 {
			r = rows[i]
		}
		a.metrics.open.WithLabelValues(rail).Set(float64(r.Open))
		a.metrics.openAge.WithLabelValues(rail).Set(r.OldestSeconds)
		a.metrics.doubt.WithLabelValues(rail).Set(float64(r.InDoubt))
		a.metrics.doubtMinor.WithLabelValues(rail).Set(float64(r.InDoubtMinor))
		a.metrics.doubtAge.WithLabelValues(rail).Set(r.OldestDoubtSeconds)
		if r.OldestDoubtSeconds > doubtAlarm.Seconds() {
			a.alarm(ctx, "in_doubt_too_long", "rail", rail, "withdrawals", r.InDoubt, "oldest_s", int(r.OldestDoubtSeconds))
		}
	}
	a.metrics.due.Set(float64(due.Due))
	a.metrics.dueAge.Set(due.OldestSeconds)
	if due.OldestSeconds > bookingAlarm.Seconds() {
		a.alarm(ctx, "not_booked", "bookings", due.Due, "oldest_s", int(due.OldestSeconds))
	}
	return nil
}

// Sweep deletes quotes and step-up rows that are not needed any more.
func (a *App) Sweep(ctx context.Context) error {
	before := a.Now().Add(-24 * time.Hour)
	for _, run := range []func(ctx context.Context, db bankingdb.DBTX, before time.Time) (int64, error){a.q.SweepWithdrawalQuotes,
		a.q.SweepStepUps} {
		if _, err := pg.Drain(ctx, func(ctx context.Context) (int64, error) { return run(ctx, a.Pool, before) }); err != nil {
			return err
		}
	}
	return nil
}

// Housekeep measures every 15 s and sweeps every hour until ctx ends.
func (a *App) Housekeep(ctx context.Context) error {
	ticks := time.NewTicker(15 * time.Second)
	defer ticks.Stop()
	var swept time.Time
	for {
		if err := a.Measure(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "measure", "err", err)
		}
		if now := a.Now(); now.Sub(swept) > time.Hour {
			swept = now
			if err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
				a.Log.WarnContext(ctx, "sweep", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}
