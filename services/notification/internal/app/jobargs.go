package app

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// The queues. Codes have their own, so that a wave of receipts never stands before somebody who waits to sign in.
const (
	QueueCodes    = "codes"
	QueueMessages = "messages"
	QueueReports  = "reports"
)

// attempts is out of reach: a message ends by its deadline, a report by its grace. It only ends jobs whose row is gone.
const attempts = 1000

// SendMessageArgs is the job that sends one message.
type SendMessageArgs struct {
	NotificationID uuid.UUID `json:"notification_id"`
	Code           bool      `json:"code"` // a one-time code: own queue, quick retries
}

// Kind names the job.
func (SendMessageArgs) Kind() string { return "notification.send_message" }

// InsertOpts chooses the queue.
func (a SendMessageArgs) InsertOpts() river.InsertOpts {
	if a.Code {
		return river.InsertOpts{Queue: QueueCodes, MaxAttempts: attempts, Priority: 1}
	}
	return river.InsertOpts{Queue: QueueMessages, MaxAttempts: attempts}
}

// Template returns what decides the job's retries.
func (a SendMessageArgs) Template() domain.Template {
	if a.Code {
		return domain.OTP
	}
	return ""
}

// JudgeReportArgs is the job that applies one delivery report.
type JudgeReportArgs struct {
	ReportID uuid.UUID `json:"report_id"`
}

// Kind names the job.
func (JudgeReportArgs) Kind() string { return "notification.judge_report" }

// InsertOpts chooses the queue.
func (JudgeReportArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueReports, MaxAttempts: attempts}
}
