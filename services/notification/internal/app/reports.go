package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/africastalking"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// What became of a delivery report.
const (
	reportReceived   = "received"
	reportApplied    = "applied"
	reportIgnored    = "ignored"
	reportUnmatched  = "unmatched"
	reportUnreadable = "unreadable"
)

// ReceiveSmsReport stores a delivery report, sealed as it came, and queues its judgement. The token is checked before anything is
// stored. A report that is known already (message id and status) is answered like a new one and does nothing; that, and whether there is
// anything to judge, has to be read before it is stored.
func (a *App) ReceiveSmsReport(ctx context.Context, token string, raw []byte) error {
	if err := a.hook.Check(token); err != nil {
		return err
	}
	row := notificationdb.InsertDeliveryReportParams{Outcome: reportUnreadable, ReceivedAt: a.Now()}
	if report, err := africastalking.ParseDeliveryReport(raw); err == nil {
		row.ProviderMessageID, row.Status, row.Outcome = &report.ID, &report.Status, reportReceived
	}
	err := a.hook.Keep(ctx, raw, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		row.ID, row.Body = m.ID, m.Sealed
		inserted, err := a.q.InsertDeliveryReport(ctx, tx, row)
		if err != nil || inserted == 0 || row.Outcome == reportUnreadable {
			return nil, err
		}
		return JudgeReportArgs{ReportID: m.ID}, nil
	})
	if err != nil {
		return err
	}
	if row.Outcome == reportUnreadable {
		a.reports.WithLabelValues(reportUnreadable).Inc()
		a.alarm(ctx, alarmUnreadableReport, row.ID)
	}
	return nil
}

// JudgeReport applies one stored report. It returns how long to wait if the report's message is not known yet: reports can overtake
// the answer to the send. After an hour the report is set aside: as unmatched or, if what was stored cannot be opened, as unreadable.
func (a *App) JudgeReport(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	var wait time.Duration
	var outcome string
	var changed *notificationdb.Notification
	var next domain.State
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		wait, outcome, changed = 0, "", nil
		row, err := a.q.LockDeliveryReport(ctx, tx, id)
		if pg.IsNoRows(err) {
			return nil
		}
		if err != nil || row.Outcome != reportReceived {
			return err
		}
		age := a.Now().Sub(row.ReceivedAt)
		report, err := a.openReport(row)
		if err != nil && age < domain.ReportGrace {
			return err
		}
		if err != nil {
			outcome = reportUnreadable
			return a.q.MarkDeliveryReport(ctx, tx, outcome, a.timeNow(), id)
		}
		n, err := a.q.LockByProviderMessage(ctx, tx, string(domain.SMS), row.ProviderMessageID)
		if pg.IsNoRows(err) {
			if age < domain.ReportGrace {
				wait = domain.ReportBackoff(age)
				return nil
			}
			outcome = reportUnmatched
			return a.q.MarkDeliveryReport(ctx, tx, outcome, a.timeNow(), id)
		}
		if err != nil {
			return err
		}
		outcome = reportIgnored
		state, reason, ok := domain.AfterReport(domain.State(n.State), report)
		if ok {
			outcome, changed, next = reportApplied, &n, state
			if err := a.markState(ctx, tx, n, state, reason, a.Now()); err != nil {
				return err
			}
		}
		return a.q.MarkDeliveryReport(ctx, tx, outcome, a.timeNow(), id)
	})
	if err != nil {
		return 0, fmt.Errorf("judge report: %w", err)
	}
	if outcome != "" {
		a.reports.WithLabelValues(outcome).Inc()
	}
	if outcome == reportUnreadable {
		a.alarm(ctx, alarmUnreadableReport, id)
	}
	if changed != nil {
		a.count(*changed, next)
	}
	return wait, nil
}

func (a *App) openReport(row notificationdb.DeliveryReport) (domain.Report, error) {
	raw, err := a.hook.Open(row.ID, row.Body)
	if err != nil {
		return domain.Report{}, err
	}
	r, err := africastalking.ParseDeliveryReport(raw)
	if err != nil {
		return domain.Report{}, err
	}
	return domain.Report{Final: r.Final, Delivered: r.Delivered, Status: r.Status, FailureReason: r.FailureReason}, nil
}

func (a *App) timeNow() *time.Time {
	now := a.Now()
	return &now
}
