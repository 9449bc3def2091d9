package app

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/jobs"
)

// The queues. Credits and callbacks have their own, so that slow answers of M-Pesa or user never stand before money that has arrived.
const (
	QueueMoney = "money"
	QueueMpesa = "mpesa"
	QueueUsers = "users"
)

func moneyOn(queue string) river.InsertOpts {
	o := jobs.MoneyOpts()
	o.Queue = queue
	return o
}

// OpenAccountArgs is the job that gives a wallet its account at the ledger, with the maximum of the customer's tier.
type OpenAccountArgs struct {
	WalletID uuid.UUID `json:"wallet_id"`
}

// Kind names the job.
func (OpenAccountArgs) Kind() string { return "wallet.open_account" }

// InsertOpts makes it a job that is never given up.
func (OpenAccountArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// ConfirmStandingArgs is the job that asks user what a customer may do, because an event hints at a change.
type ConfirmStandingArgs struct {
	UserID uuid.UUID `json:"user_id"`
}

// Kind names the job.
func (ConfirmStandingArgs) Kind() string { return "wallet.confirm_standing" }

// InsertOpts makes it a job that is never given up. Each hint has its own: one that runs already may have asked before the change.
func (ConfirmStandingArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueUsers) }

// PostTransferArgs is the job that ends a transfer whose outcome its request did not learn.
type PostTransferArgs struct {
	TransferID uuid.UUID `json:"transfer_id"`
}

// Kind names the job.
func (PostTransferArgs) Kind() string { return "wallet.post_transfer" }

// InsertOpts makes it a job that is never given up.
func (PostTransferArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// RequestStkArgs is the job that sends a top-up's prompt.
type RequestStkArgs struct {
	TopupID uuid.UUID `json:"topup_id"`
}

// Kind names the job.
func (RequestStkArgs) Kind() string { return "wallet.request_stk" }

// InsertOpts makes it a job that is never given up.
func (RequestStkArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMpesa) }

// QueryStkArgs is the job that asks for the result of a prompt.
type QueryStkArgs struct {
	TopupID uuid.UUID `json:"topup_id"`
}

// Kind names the job.
func (QueryStkArgs) Kind() string { return "wallet.query_stk" }

// InsertOpts makes it a job that is never given up.
func (QueryStkArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMpesa) }

// AskStkArgs is the job that asks once for the result of a prompt, because somebody says that there is one.
type AskStkArgs struct {
	TopupID uuid.UUID `json:"topup_id"`
}

// Kind names the job.
func (AskStkArgs) Kind() string { return "wallet.ask_stk" }

// InsertOpts keeps one such job per top-up, however many messages say so.
func (AskStkArgs) InsertOpts() river.InsertOpts { return oneAtATime() }

// JudgeCallbackArgs is the job that decides what a message of M-Pesa means.
type JudgeCallbackArgs struct {
	CallbackID uuid.UUID `json:"callback_id"`
}

// Kind names the job.
func (JudgeCallbackArgs) Kind() string { return "wallet.judge_callback" }

// InsertOpts makes it a job that is never given up.
func (JudgeCallbackArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// CreditTopupArgs is the job that credits a paid top-up.
type CreditTopupArgs struct {
	TopupID uuid.UUID `json:"topup_id"`
}

// Kind names the job.
func (CreditTopupArgs) Kind() string { return "wallet.credit_topup" }

// InsertOpts makes it a job that is never given up.
func (CreditTopupArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// CreditDepositArgs is the job that credits a paybill deposit.
type CreditDepositArgs struct {
	DepositID uuid.UUID `json:"deposit_id"`
}

// Kind names the job.
func (CreditDepositArgs) Kind() string { return "wallet.credit_deposit" }

// InsertOpts makes it a job that is never given up.
func (CreditDepositArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// RegisterC2bArgs is the job that tells Safaricom where to confirm paybill payments.
type RegisterC2bArgs struct {
	ShortCode string `json:"short_code"`
}

// Kind names the job.
func (RegisterC2bArgs) Kind() string { return "wallet.register_c2b" }

// InsertOpts keeps one such job at a time.
func (RegisterC2bArgs) InsertOpts() river.InsertOpts { return oneAtATime() }

// SettleSuspenseArgs is the job that books what money in suspense has come to.
type SettleSuspenseArgs struct {
	ItemID uuid.UUID `json:"item_id"`
}

// Kind names the job.
func (SettleSuspenseArgs) Kind() string { return "wallet.settle_suspense" }

// InsertOpts makes it a job that is never given up.
func (SettleSuspenseArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// ReturnSuspenseArgs is the job that watches over money that is being returned.
type ReturnSuspenseArgs struct {
	ItemID uuid.UUID `json:"item_id"`
	Once   bool      `json:"once,omitempty"` // what is due now; another job has the rest
}

// Kind names the job.
func (ReturnSuspenseArgs) Kind() string { return "wallet.return_suspense" }

// InsertOpts makes it a job that is never given up.
func (ReturnSuspenseArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMpesa) }

// JudgeRailMessageArgs is the job that decides what Safaricom says about a request of ours.
type JudgeRailMessageArgs struct {
	MessageID uuid.UUID `json:"message_id"`
}

// Kind names the job.
func (JudgeRailMessageArgs) Kind() string { return "wallet.judge_rail_message" }

// InsertOpts makes it a job that is never given up.
func (JudgeRailMessageArgs) InsertOpts() river.InsertOpts { return moneyOn(QueueMoney) }

// oneAtATime is for jobs at M-Pesa of which a second one with the same arguments would ask the same.
func oneAtATime() river.InsertOpts {
	o := moneyOn(QueueMpesa)
	o.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending,
		rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled}}
	return o
}
