// Package domain holds the rules about wallets: prices, limits, transfers, top-ups and deposits. It knows no SQL, HTTP, Kafka, clock
// or randomness, so each rule is tested without a database.
package domain

import "github.com/sendtip/sendtip/kit/fault"

// Refusals that a customer may read. Codes are stable.
var (
	ErrKycRequired        = fault.New(fault.Forbidden, "kyc_required", "Verify your identity first.")
	ErrSuspended          = fault.New(fault.Forbidden, "customer_suspended", "Your account is suspended.")
	ErrCurrency           = fault.New(fault.Unprocessable, "currency_not_supported", "This currency is not available to you.")
	ErrCurrencyMismatch   = fault.New(fault.Unprocessable, "currency_mismatch", "The amount is not in the wallet's currency.")
	ErrWalletNotOpen      = fault.New(fault.Unprocessable, "wallet_not_open", "The wallet is not open yet.")
	ErrNoPrice            = fault.New(fault.Unprocessable, "no_price", "There is no price for a payment of this kind and amount.")
	ErrLimitTransaction   = fault.New(fault.Unprocessable, "limit_per_transaction", "The amount exceeds your limit per payment.")
	ErrLimitDay           = fault.New(fault.Unprocessable, "limit_per_day", "The amount exceeds what is left of your daily limit.")
	ErrLimitMonth         = fault.New(fault.Unprocessable, "limit_per_month", "The amount exceeds what is left of your monthly limit.")
	ErrRecipientMissing   = fault.New(fault.NotFound, "recipient_not_found", "There is no such recipient.")
	ErrRecipientCannot    = fault.New(fault.Unprocessable, "recipient_cannot_receive", "The recipient cannot receive this payment.")
	ErrRecipientInReview  = fault.New(fault.Unprocessable, "recipient_in_review", "This number cannot receive payments at the moment.")
	ErrRecipientLimit     = fault.New(fault.Unprocessable, "recipient_limit", "The recipient's wallet cannot hold this amount.")
	ErrRecipientSelf      = fault.New(fault.Unprocessable, "recipient_is_sender", "You cannot send money to yourself.")
	ErrRecipientAmbiguous = fault.New(fault.Invalid, "recipient_ambiguous",
		"Send one of recipient_phone, recipient_wallet_id and payment_request_id.")
	ErrQuoteNotFound     = fault.New(fault.NotFound, "quote_not_found", "There is no such quote.")
	ErrQuoteExpired      = fault.New(fault.Unprocessable, "quote_expired", "The quote has expired; request a new one.")
	ErrQuoteSpent        = fault.New(fault.Conflict, "quote_spent", "The quote has already been used.")
	ErrStepUpMissing     = fault.New(fault.Forbidden, "step_up_required", "Approve this payment with your PIN first.")
	ErrStepUpExpired     = fault.New(fault.Forbidden, "step_up_expired", "The approval has expired; enter your PIN again.")
	ErrStepUpMismatch    = fault.New(fault.Forbidden, "step_up_mismatch", "This approval is for a different payment.")
	ErrStepUpUsed        = fault.New(fault.Forbidden, "step_up_used", "The approval has already been used; enter your PIN again.")
	ErrInsufficientFunds = fault.New(fault.Unprocessable, "insufficient_funds", "The balance is too low.")
	ErrWalletFrozen      = fault.New(fault.Unprocessable, "wallet_frozen", "The wallet is frozen.")
	ErrTransferRefused   = fault.New(fault.Unprocessable, "transfer_refused", "The transfer was refused.")
	ErrTopupAmount       = fault.New(fault.Unprocessable, "topup_amount", "M-Pesa accepts whole shillings from 1 to 250,000.")
	ErrNoNumber          = fault.New(fault.Unprocessable, "no_phone_number", "Your account has no phone number that can be used; give one.")
	ErrTopupPhone        = fault.New(fault.Unprocessable, "topup_phone", "This is not a Safaricom Kenya number.")
	ErrBalanceLimit      = fault.New(fault.Unprocessable, "balance_limit", "Your wallet cannot hold this amount.")
	ErrPromptLimit       = fault.New(fault.TooMany, "prompt_limit", "This number has received too many payment requests; try again later.")
	ErrPromptsBlocked    = fault.New(fault.Unprocessable, "prompts_blocked",
		"The owner of this number does not accept payment requests from others.")
	ErrTopupCurrency = fault.New(fault.Unprocessable, "topup_currency", "Only wallets in "+MpesaCurrency+" can be topped up from M-Pesa.")
)
