// Package authz is the authorization matrix: every operation of every contract, asked by everybody. What each may is computed from the
// contract's security, the scopes of roles, services and keys, and the table below; nothing is recorded from the platform.
package authz

import "slices"

// row says what decides beside the contract's security.
type row struct {
	// owned are the places of the request (path parameters, or JSON Pointers into the body) that name an object of the customer's: to
	// everybody else who has the scope it is not there.
	owned []string
	// by is the operation that makes the object, whose answer names it by the place or by `id`; empty: the world has one.
	by string
	// given are further places that need an object of this platform, whoever's it is, and parameters of the query (?name) that the
	// operation does not do without, though the contract cannot say so.
	given []string
	// last says that the operation ends the caller's session, so it is asked after all others.
	last bool
}

var (
	open  = row{}           // anybody may
	self  = row{}           // about the caller only: no place names an owner
	role  = row{}           // whoever has the scope may, whoever's the object is
	hooks = row{}           // a provider's token in the path decides, which nobody here has
	ends  = row{last: true} // as self
)

// places are all that the test fills in.
func (r row) places() []string { return append(slices.Clone(r.owned), r.given...) }

func owned(places ...string) row { return row{owned: places} }

// made is owned, of an object that an operation makes.
func made(by, place string) row { return row{owned: []string{place}, by: by} }

// ownership has every operation. One without a row fails the test: somebody has to think about whose the object is.
var ownership = map[string]row{
	"createApiKey": role, "listApiKeys": role, "revokeApiKey": role,

	"proposeRefund": role, "listRefundsByStatus": role, "proposeRefundSettlement": role,
	"createDeposit": owned("/wallet_id"), "getDeposit": owned("deposit_id"), "listDeposits": self, "listDepositsByStatus": role,
	"createWithdrawalQuote": owned("/wallet_id"), "createWithdrawal": owned("/withdrawal_quote_id"), "listWithdrawals": self,
	"getWithdrawal": owned("withdrawal_id"), "cancelWithdrawal": owned("withdrawal_id"),
	"listWithdrawalsByStatus": role, "proposeSettlement": role,
	"listBankingApprovals": role, "approveBankingApproval": role, "rejectBankingApproval": role,
	"listBanks": role, "listBankAccounts": self, "createBankAccount": {given: []string{"/id"}}, "deleteBankAccount": owned("bank_account_id"),
	"listBankingRails": role, "proposeBankingRailSwitch": role,
	"listWalletRails": role, "proposeWalletRailSwitch": role,
	"receivePaystackEvent": hooks,
	"receiveRailResult":    hooks, "receiveRailTimeout": hooks,

	"listNotifications": self, "receiveSmsReport": hooks,

	"postTransactions": role, "listLedgerTransactions": role, "getLedgerTransaction": role, "getOutcome": role, "putAccount": role,
	"getLedgerAccount": role, "getAccountBalance": role, "listAccountStatement": role, "listSystemAccounts": role, "getLedgerReceipt": role,
	"getBalance": owned("account_id"), "getBalanceAt": {owned: []string{"account_id"}, given: []string{"?recorded_at"}},
	"listStatement":   owned("account_id"),
	"exportStatement": owned("account_id"), "getReceipt": owned("account_id", "transaction_id"), "eraseTransactionMetadata": role,
	"getCheckpoint": open, "getLogTile": open, "getInclusionProof": open, "getConsistencyProof": open, "listLedgerKeys": open,

	"startRegistration": open, "completeRegistration": open, "startLoginChallenge": open, "startPinReset": open, "completePinReset": open,
	"createSession": open, "refreshSession": open, "getJwks": open,
	"deleteSession": ends, "createTotp": self, "confirmTotp": self, "createStepUp": self, "getProfile": self, "updateProfile": self,
	"startNumberChange": self, "listNumberChanges": self, "getNumberChange": owned("number_change_id"),
	"confirmNumberChange": owned("number_change_id"), "cancelNumberChange": owned("number_change_id"), "getFormerNumber": role,
	"startRecovery": open, "completeRecovery": open, "getRecovery": open, "listMyRecoveries": self, "cancelRecovery": owned("recovery_id"),
	"listRecoveries": role, "proposeRecovery": role,
	"submitKyc": self, "getKyc": owned("kyc_id"),
	"listMyNumberClaims": self, "rejectNumberClaim": owned("claim_id"), "releaseNumberClaim": owned("claim_id"),
	"listNumberClaims": role, "proposeNumberClaimDecision": role,
	"listKycReviews": role, "decideKycReview": role, "suspendUser": role, "reinstateUser": role, "listStaff": role,
	"proposeRoleChange": role, "proposeTotpReset": role, "proposeKycOverride": role,
	"listUserApprovals": role, "approveUserApproval": role, "rejectUserApproval": role,
	"lookupRecipient": role, "getContacts": role, "getStanding": role, "takeOtp": role, "listRevocations": role, "receiveKycCallback": hooks,

	"listSuspense": role, "decideSuspense": role, "listRailBalances": role, "receivePaybillResult": hooks, "receivePaybillTimeout": hooks,
	"getWalletOwner": role,
	"listRules":      role, "proposeTariff": role, "proposeTax": role, "proposeLimit": role, "listWalletApprovals": role,
	"approveWalletApproval": role, "rejectWalletApproval": role, "putLimitReservation": role, "commitLimitReservation": role,
	"releaseLimitReservation": role, "priceOperation": role,
	"listWallets": self, "openWallet": self, "getWallet": owned("wallet_id"), "getLimits": self, "estimateFee": role, "listTopups": self,
	"createTopup": owned("/wallet_id"), "liftMyPromptBlock": self, "liftPromptBlock": role, "getTopup": made("createTopup", "topup_id"),
	"createTransferQuote":  {owned: []string{"/wallet_id"}, given: []string{"/recipient_phone"}},
	"createPaymentRequest": {owned: []string{"/wallet_id"}, given: []string{"/payer_phone"}}, "listPaymentRequests": self,
	"getPaymentRequest": owned("payment_request_id"), "cancelPaymentRequest": owned("payment_request_id"),
	"remindPaymentRequest": owned("payment_request_id"), "declinePaymentRequest": owned("payment_request_id"),
	"listTransfers": self, "createTransfer": owned("/quote_id"), "getTransfer": owned("transfer_id"),
	"receiveStkCallback": hooks, "receiveC2bConfirmation": hooks, "receiveC2bValidation": hooks,
}
