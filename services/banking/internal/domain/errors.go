package domain

import "github.com/sendtip/sendtip/kit/fault"

// Refusals that customers and operators may read. The codes are stable, and those that wallet has as well mean the same.
var (
	ErrUnsigned     = fault.New(fault.Unauthenticated, "signature_invalid", "The body is not signed with the key of this business.")
	ErrRailCurrency = fault.New(fault.Unprocessable, "rail_currency", "Only Kenyan shillings are paid out.")
	ErrRailAmount   = fault.New(fault.Unprocessable, "rail_amount", "M-Pesa pays out whole shillings from 10 to 250,000.")
	ErrRailPhone    = fault.New(fault.Unprocessable, "rail_phone", "This is not a Safaricom Kenya number.")
	ErrCooling      = fault.New(fault.Unprocessable, "cooling_period",
		"For 24 hours after a new PIN, phone or number, withdraw to your own number only.")
	ErrInReview        = fault.New(fault.Unprocessable, "recipient_in_review", "This number cannot receive payments at the moment.")
	ErrNoNumber        = fault.New(fault.Unprocessable, "no_phone_number", "Your account has no phone number that can be used; give one.")
	ErrWalletNotOpen   = fault.New(fault.Unprocessable, "wallet_not_open", "The wallet is not open yet.")
	ErrSuspended       = fault.New(fault.Forbidden, "customer_suspended", "Your account is suspended.")
	ErrKycRequired     = fault.New(fault.Forbidden, "kyc_required", "Verify your identity first.")
	ErrCurrency        = fault.New(fault.Unprocessable, "currency_mismatch", "The amount is not in the wallet's currency.")
	ErrQuoteNotFound   = fault.New(fault.NotFound, "quote_not_found", "There is no such quote.")
	ErrQuoteExpired    = fault.New(fault.Unprocessable, "quote_expired", "The quote has expired; request a new one.")
	ErrQuoteSpent      = fault.New(fault.Conflict, "quote_spent", "The quote has already been used.")
	ErrStepUpMissing   = fault.New(fault.Forbidden, "step_up_required", "Approve this payment with your PIN first.")
	ErrStepUpMismatch  = fault.New(fault.Forbidden, "step_up_mismatch", "This approval is for a different payment.")
	ErrStepUpExpired   = fault.New(fault.Forbidden, "step_up_expired", "The approval has expired; enter your PIN again.")
	ErrStepUpUsed      = fault.New(fault.Forbidden, "step_up_used", "The approval has already been used; enter your PIN again.")
	ErrNotCancellable  = fault.New(fault.Conflict, "not_cancellable", "The withdrawal has left and can no longer be cancelled.")
	ErrNotInDoubt      = fault.New(fault.Conflict, "not_in_doubt", "The withdrawal is not in doubt.")
	ErrReceiptUsed     = fault.New(fault.Unprocessable, "receipt_used", "Another withdrawal has this receipt.")
	ErrDepositCurrency = fault.New(fault.Unprocessable, "deposit_currency", "Deposits are in Kenyan shillings only.")
	ErrDepositAmount   = fault.New(fault.Unprocessable, "deposit_amount", "Deposits are from 3 to 1,000,000 shillings.")
	ErrPromptAmount    = fault.New(fault.Unprocessable, "prompt_amount", "M-Pesa pays whole shillings, at most 250,000.")
	ErrDepositPrice    = fault.New(fault.Unprocessable, "deposit_price", "The fee is not less than the amount.")
	ErrNotRefundable   = fault.New(fault.Conflict, "not_refundable", "The deposit has not been paid.")
	ErrRefundTooMuch   = fault.New(fault.Unprocessable, "refund_too_much", "This is more than is left of the deposit.")
	ErrNotSettleable   = fault.New(fault.Conflict, "not_settleable", "Paystack has not had its time to say how the refund ended.")
	ErrRailRefused     = fault.New(fault.Unprocessable, "rail_refused", "The payment provider refused this payment.")
	ErrPageLost        = fault.New(fault.Unprocessable, "page_lost", "The payment page could not be opened; please start again.")
	ErrReceiptRequired = fault.New(fault.Invalid, "receipt_required", "A payment needs the rail's receipt.")

	ErrBankAmount         = fault.New(fault.Unprocessable, "bank_amount", "Banks get from 100 to 999,999 shillings.")
	ErrBankAccountHeld    = fault.New(fault.Unprocessable, "bank_account_held", "This account can be paid to a day after it was linked.")
	ErrBankAccountChanged = fault.New(fault.Unprocessable, "bank_account_changed",
		"The bank now tells another owner of this account; link it again.")
	ErrBankUnknown         = fault.New(fault.Unprocessable, "bank_unknown", "There is no such bank; choose one of the list.")
	ErrAccountNameRequired = fault.New(fault.Unprocessable, "account_name_required",
		"The bank does not tell whose account this is; give the name.")
	ErrTooManyAccounts = fault.New(fault.Conflict, "too_many_bank_accounts", "You have 5 bank accounts; remove one first.")
	ErrAccountIDUsed   = fault.New(fault.Conflict, "bank_account_id_used", "This id is another account's; choose a new one.")
)
