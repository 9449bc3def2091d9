package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// pendingAlarm is the age of an unsettled payment at which a person must look.
const pendingAlarm = 5 * time.Minute

// reservedAlarm is the age of another service's reservation at which a person must look: none expires by itself.
const reservedAlarm = 24 * time.Hour

// suspenseAlarm is the age of money in suspense at which finance must have looked: its payer misses it.
const suspenseAlarm = 3 * 24 * time.Hour

type metrics struct {
	alarms, transfers, topups, callbacks *prometheus.CounterVec
	suspense                             *prometheus.CounterVec
	suspenseOpen, suspenseMinor          prometheus.Gauge
	suspenseAge, railLedger              prometheus.Gauge
	railBalance, railAge                 *prometheus.GaugeVec
	pendingTransfers, pendingAge         prometheus.Gauge
	unknownTopups, unknownMinor          prometheus.Gauge
	dueCredits, dueAge                   prometheus.Gauge
	openClaims, openCases                prometheus.Gauge
	overdue                              prometheus.Gauge
	reservations, reservationAge         prometheus.Gauge
	callbackSeconds                      prometheus.Histogram
}

func newMetrics() metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	return metrics{
		alarms:           counter("wallet_alarms_total", "Things that a person must look at.", "alarm"),
		transfers:        counter("wallet_transfers_total", "Transfers by the state they came to.", "status"),
		topups:           counter("wallet_topups_total", "Top-ups by the state they came to.", "status"),
		callbacks:        counter("wallet_callbacks_total", "Messages of M-Pesa by kind and verdict.", "kind", "verdict"),
		pendingTransfers: gauge("wallet_transfers_pending", "Transfers whose outcome is not known."),
		pendingAge:       gauge("wallet_transfers_pending_age_seconds", "Age of the oldest of them."),
		unknownTopups:    gauge("wallet_topups_unknown", "Top-ups whose outcome is not known."),
		unknownMinor:     gauge("wallet_topups_unknown_minor", "Their value in minor units of the paybill's currency."),
		dueCredits:       gauge("wallet_topups_due", "Paid top-ups that are not credited yet."),
		dueAge:           gauge("wallet_topups_due_age_seconds", "Age of the oldest of them."),
		openClaims:       gauge("wallet_claims_open", "Messages of strangers about which Safaricom's books are asked."),
		openCases:        gauge("wallet_cases_open", "Messages and receipts that a person of finance must look at."),
		reservations:     gauge("wallet_reservations_open", "Limits that other services reserved and neither committed nor released."),
		reservationAge:   gauge("wallet_reservations_age_seconds", "Age of the oldest of them."),
		suspense:         counter("wallet_suspense_total", "Money in suspense by the state it came to.", "status"),
		suspenseOpen:     gauge("wallet_suspense_open", "Pay-ins in suspense that are neither matched nor returned."),
		suspenseMinor:    gauge("wallet_suspense_open_minor", "Their value in minor units of the paybill's currency."),
		suspenseAge:      gauge("wallet_suspense_age_seconds", "Age of the oldest of them."),
		railLedger:       gauge("wallet_rail_ledger_minor", "What the ledger says that the paybill holds, in minor units."),
		railBalance: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "wallet_rail_balance_minor",
			Help: "What Safaricom last said that an account of the short code holds, in minor units."}, []string{"short_code", "account"}),
		railAge: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "wallet_rail_balance_age_seconds",
			Help: "Age of that."}, []string{"short_code", "account"}),
		overdue: gauge("wallet_sweep_overdue", "Rows that the sweep should have deleted two hours ago, counted up to 10,000."),
		callbackSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "wallet_stk_callback_seconds",
			Help: "From the prompt to its callback.", Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300}}),
	}
}

func (m metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.alarms, m.transfers, m.topups, m.callbacks, m.pendingTransfers, m.pendingAge, m.unknownTopups,
		m.unknownMinor, m.dueCredits, m.dueAge, m.openClaims, m.openCases, m.overdue, m.callbackSeconds,
		m.reservations, m.reservationAge, m.suspense, m.suspenseOpen, m.suspenseMinor, m.suspenseAge,
		m.railLedger, m.railBalance, m.railAge}
}

// Measure refreshes the gauges of what is not settled, and raises the alarm when something waits for too long.
func (a *App) Measure(ctx context.Context) error {
	now := a.Now()
	transfers, err := a.q.CountPendingTransfers(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	topups, err := a.q.CountOpenTopups(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	cases, err := a.q.CountCases(ctx, a.Pool)
	if err != nil {
		return err
	}
	overdue, err := a.q.CountOverdue(ctx, a.Pool, now.Add(-26*time.Hour))
	if err != nil {
		return err
	}
	reservations, err := a.q.CountOpenReservations(ctx, a.Pool, now)
	if err != nil {
		return err
	}
	if err := a.measureSuspense(ctx); err != nil {
		return err
	}
	a.metrics.reservations.Set(float64(reservations.Open))
	a.metrics.reservationAge.Set(reservations.OldestSeconds)
	a.metrics.overdue.Set(float64(overdue))
	a.metrics.openClaims.Set(float64(cases.Claims))
	a.metrics.openCases.Set(float64(cases.Cases))
	a.metrics.pendingTransfers.Set(float64(transfers.Pending))
	a.metrics.pendingAge.Set(transfers.OldestSeconds)
	a.metrics.unknownTopups.Set(float64(topups.Unknown))
	a.metrics.unknownMinor.Set(float64(topups.UnknownMinor))
	a.metrics.dueCredits.Set(float64(topups.Due))
	a.metrics.dueAge.Set(topups.OldestDueSeconds)
	if transfers.OldestSeconds > pendingAlarm.Seconds() {
		a.alarm(ctx, "transfer_pending_too_long", "transfers", transfers.Pending, "oldest_s", int(transfers.OldestSeconds))
	}
	if topups.OldestDueSeconds > pendingAlarm.Seconds() {
		a.alarm(ctx, "topup_not_credited", "topups", topups.Due, "oldest_s", int(topups.OldestDueSeconds))
	}
	if reservations.OldestSeconds > reservedAlarm.Seconds() {
		a.alarm(ctx, "limit_reserved_too_long", "reservations", reservations.Open, "oldest_s", int(reservations.OldestSeconds))
	}
	return nil
}

// measureSuspense refreshes the gauges of money in suspense.
func (a *App) measureSuspense(ctx context.Context) error {
	s, err := a.q.CountSuspense(ctx, a.Pool, a.Now())
	if err != nil {
		return err
	}
	a.metrics.suspenseOpen.Set(float64(s.Waiting))
	a.metrics.suspenseMinor.Set(float64(s.Minor))
	a.metrics.suspenseAge.Set(s.OldestSeconds)
	if s.OldestSeconds > suspenseAlarm.Seconds() {
		a.alarm(ctx, "suspense_waits_too_long", "items", s.Waiting, "oldest_s", int(s.OldestSeconds))
	}
	return nil
}

// Sweep deletes all quotes that nobody used, step-up rows that are not needed any more, and numbers of which nothing counts any more.
func (a *App) Sweep(ctx context.Context) error {
	for _, s := range []struct {
		before time.Time
		run    func(ctx context.Context, db walletdb.DBTX, before time.Time) (int64, error)
	}{
		{a.Now().Add(-24 * time.Hour), a.q.SweepQuotes},
		{a.Now().Add(-24 * time.Hour), a.q.SweepStepUps},
		{a.Now().Add(-domain.PromptKept), a.q.SweepPromptedPhones},
	} {
		if _, err := pg.Drain(ctx, func(ctx context.Context) (int64, error) { return s.run(ctx, a.Pool, s.before) }); err != nil {
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
		if err := a.measureBalances(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "measure balances", "err", err)
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
