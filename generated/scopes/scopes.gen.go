// Package scopes names what callers may do, and the roles of users.
//
// Code generated from openapi/services.yaml. DO NOT EDIT.
package scopes

// What an operation may ask for.
const (
	// Profile allows to read and change one's own profile, sessions, approvals and messages.
	Profile = "profile"
	// Totp allows to set up one's own authenticator.
	Totp = "totp"
	// Kyc allows to verify one's own identity.
	Kyc = "kyc"
	// WalletRead allows to read one's own wallets, payments and statements.
	WalletRead = "wallet:read"
	// WalletWrite allows to open wallets and pay.
	WalletWrite = "wallet:write"
	// TariffsRead allows to read prices.
	TariffsRead = "tariffs:read"
	// AdminAPIKeys allows to make, list and revoke partners' API keys.
	AdminAPIKeys = "admin:api_keys"
	// AdminRoles allows to read who is on the staff, and propose roles and new authenticators.
	AdminRoles = "admin:roles"
	// AdminRolesApprove allows to approve roles and new authenticators that another person proposed.
	AdminRolesApprove = "admin:roles:approve"
	// AdminKyc allows to decide on verifications that wait for a person, and propose to override one.
	AdminKyc = "admin:kyc"
	// AdminKycApprove allows to approve overrides that another person proposed.
	AdminKycApprove = "admin:kyc:approve"
	// AdminNumbers allows to read claims on customers' numbers, and propose how they end.
	AdminNumbers = "admin:numbers"
	// AdminNumbersApprove allows to approve ends of claims that another person proposed.
	AdminNumbersApprove = "admin:numbers:approve"
	// AdminLedger allows to erase what a transaction says of a person.
	AdminLedger = "admin:ledger"
	// AdminUsers allows to suspend customers and let them back in.
	AdminUsers = "admin:users"
	// AdminTariffs allows to read prices, taxes and limits, and propose new ones.
	AdminTariffs = "admin:tariffs"
	// AdminTariffsApprove allows to approve prices, taxes and limits that another person proposed.
	AdminTariffsApprove = "admin:tariffs:approve"
	// LedgerPost allows to post transactions.
	LedgerPost = "ledger:post"
	// LedgerRead allows to read accounts, transactions and proofs.
	LedgerRead = "ledger:read"
	// LedgerAccounts allows to open and change accounts.
	LedgerAccounts = "ledger:accounts"
	// WalletsRead allows to read whose a wallet is and what its customer may do.
	WalletsRead = "wallets:read"
	// LimitsReserve allows to reserve customers' limits.
	LimitsReserve = "limits:reserve"
	// PricesRead allows to price operations.
	PricesRead = "prices:read"
	// UsersLookup allows to find the customer of a phone number.
	UsersLookup = "users:lookup"
	// UsersContacts allows to read a customer's addresses.
	UsersContacts = "users:contacts"
	// UsersOtp allows to read the code of a challenge.
	UsersOtp = "users:otp"
	// UsersStanding allows to read a customer's status and tier.
	UsersStanding = "users:standing"
	// UsersRevocations allows to read which sessions have ended.
	UsersRevocations = "users:revocations"
	// BankingRead allows to read one's own deposits and withdrawals.
	BankingRead = "banking:read"
	// BankingWrite allows to deposit and withdraw.
	BankingWrite = "banking:write"
	// AdminRails allows to read what the rails do, and propose how payments in doubt ended.
	AdminRails = "admin:rails"
	// AdminRailsApprove allows to approve what another person proposed about payments in doubt.
	AdminRailsApprove = "admin:rails:approve"
)

// The roles.
const (
	RoleCustomer   = "customer"
	RoleAgent      = "agent"
	RoleStaff      = "staff"
	RoleSupport    = "support"
	RoleCompliance = "compliance"
	RoleFinance    = "finance"
	RoleConfig     = "config"
	RoleAdmin      = "admin"
)

// OfRole returns what a role lets a user do; nothing for one that is not known.
func OfRole(role string) []string {
	switch role {
	case RoleCustomer:
		return []string{BankingRead, BankingWrite, Profile, Kyc, WalletRead, WalletWrite}
	case RoleAgent:
		return []string{BankingRead, BankingWrite, Profile, Kyc, WalletRead, WalletWrite}
	case RoleStaff:
		return []string{Profile, Totp}
	case RoleSupport:
		return []string{Profile, Totp, AdminUsers}
	case RoleCompliance:
		return []string{Profile, Totp, AdminUsers, AdminKyc, AdminKycApprove, AdminNumbers, AdminNumbersApprove, AdminLedger}
	case RoleFinance:
		return []string{Profile, Totp, AdminTariffs, AdminTariffsApprove, AdminRails, AdminRailsApprove}
	case RoleConfig:
		return []string{Profile, Totp}
	case RoleAdmin:
		return []string{Profile, Totp, AdminAPIKeys, AdminUsers, AdminRoles, AdminRolesApprove}
	}
	return nil
}
