package app

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/jobs"
)

// Queues: jobs that call the ledger and wallet, and jobs that wait for the rails.
const (
	QueueMoney = "money"
	QueueRails = "rails"
	QueueAsk   = "ask" // payments never wait behind questions
)

func moneyOpts(queue string) river.InsertOpts {
	o := jobs.MoneyOpts()
	o.Queue = queue
	return o
}

// PayArgs brings a stored withdrawal to the rail.
type PayArgs struct {
	WithdrawalID uuid.UUID `json:"withdrawal_id"`
}

// Kind names the job.
func (PayArgs) Kind() string { return "banking.pay" }

// InsertOpts make it one that is never given up.
func (PayArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueRails) }

// AskArgs watches over a withdrawal until the rail has said the end.
type AskArgs struct {
	WithdrawalID uuid.UUID `json:"withdrawal_id"`
}

// Kind names the job.
func (AskArgs) Kind() string { return "banking.ask" }

// InsertOpts make it one that is never given up.
func (AskArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueAsk) }

// QuestionArgs asks the rail about a withdrawal once, because a message about it decides nothing by itself.
type QuestionArgs struct {
	WithdrawalID uuid.UUID `json:"withdrawal_id"`
}

// Kind names the job.
func (QuestionArgs) Kind() string { return "banking.question" }

// InsertOpts make it one that is never given up.
func (QuestionArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueAsk) }

// SettleArgs books what a withdrawal's transitions lead to, in their order.
type SettleArgs struct {
	WithdrawalID uuid.UUID `json:"withdrawal_id"`
}

// Kind names the job.
func (SettleArgs) Kind() string { return "banking.settle" }

// InsertOpts make it one that is never given up.
func (SettleArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }

// DepositArgs opens a stored deposit at Paystack, if the request that made it has not.
type DepositArgs struct {
	DepositID uuid.UUID `json:"deposit_id"`
}

// Kind names the job.
func (DepositArgs) Kind() string { return "banking.deposit" }

// InsertOpts make it one that is never given up.
func (DepositArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueRails) }

// AskDepositArgs asks Paystack about a deposit until money has come, or can be expected no more.
type AskDepositArgs struct {
	DepositID uuid.UUID `json:"deposit_id"`
}

// Kind names the job.
func (AskDepositArgs) Kind() string { return "banking.ask_deposit" }

// InsertOpts make it one that is never given up.
func (AskDepositArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueAsk) }

// VerifyDepositArgs asks Paystack about a deposit once, because something was said about it.
type VerifyDepositArgs struct {
	DepositID uuid.UUID `json:"deposit_id"`
}

// Kind names the job.
func (VerifyDepositArgs) Kind() string { return "banking.verify_deposit" }

// InsertOpts make it one that is never given up.
func (VerifyDepositArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueRails) }

// SettleDepositArgs books what a deposit's transitions lead to.
type SettleDepositArgs struct {
	DepositID uuid.UUID `json:"deposit_id"`
}

// Kind names the job.
func (SettleDepositArgs) Kind() string { return "banking.settle_deposit" }

// InsertOpts make it one that is never given up.
func (SettleDepositArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }

// RefundArgs brings a stored refund to Paystack.
type RefundArgs struct {
	RefundID uuid.UUID `json:"refund_id"`
}

// Kind names the job.
func (RefundArgs) Kind() string { return "banking.refund" }

// InsertOpts make it one that is never given up.
func (RefundArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueRails) }

// AskRefundArgs asks Paystack about a refund until its end is known.
type AskRefundArgs struct {
	RefundID uuid.UUID `json:"refund_id"`
}

// Kind names the job.
func (AskRefundArgs) Kind() string { return "banking.ask_refund" }

// InsertOpts make it one that is never given up.
func (AskRefundArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueAsk) }

// ReadRefundArgs asks Paystack about a refund once, because something was said about it.
type ReadRefundArgs struct {
	RefundID uuid.UUID `json:"refund_id"`
}

// Kind names the job.
func (ReadRefundArgs) Kind() string { return "banking.read_refund" }

// InsertOpts make it one that is never given up.
func (ReadRefundArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueRails) }

// SettleRefundArgs books what a refund's transitions lead to.
type SettleRefundArgs struct {
	RefundID uuid.UUID `json:"refund_id"`
}

// Kind names the job.
func (SettleRefundArgs) Kind() string { return "banking.settle_refund" }

// InsertOpts make it one that is never given up.
func (SettleRefundArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }

// HearArgs judges a stored event of Paystack.
type HearArgs struct {
	EventID uuid.UUID `json:"event_id"`
}

// Kind names the job.
func (HearArgs) Kind() string { return "banking.hear" }

// InsertOpts make it one that is never given up.
func (HearArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }

// TellDelaysArgs tells the customers who wait for an operation that is down.
type TellDelaysArgs struct {
	Operation string `json:"operation"`
}

// Kind names the job.
func (TellDelaysArgs) Kind() string { return "banking.tell_delays" }

// InsertOpts make it one that is never given up.
func (TellDelaysArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }

// JudgeArgs judges a stored message of a provider.
type JudgeArgs struct {
	EventID uuid.UUID `json:"event_id"`
}

// Kind names the job.
func (JudgeArgs) Kind() string { return "banking.judge" }

// InsertOpts make it one that is never given up.
func (JudgeArgs) InsertOpts() river.InsertOpts { return moneyOpts(QueueMoney) }
