package paystack

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Types of recipients in Kenya, which are also those of banks.
const (
	KEPSS               = "kepss" // a bank account
	Wallet              = "mobile_money"
	MobileMoneyBusiness = "mobile_money_business" // an M-Pesa till or paybill
)

// Bank is where money can be sent to: a bank or a wallet's operator.
type Bank struct {
	ID       string
	Name     string
	Slug     string
	Code     string
	Type     string
	Country  string
	Currency string
	Active   bool // and not deleted
}

// BankQuery narrows a list of banks; empty fields do not.
type BankQuery struct {
	Country  string // small letters: kenya
	Currency string
	Type     string
}

const (
	banksPerPage = 100
	maxBankPages = 10
)

// ListBanks returns the banks, page by page to the last.
func (c *Client) ListBanks(ctx context.Context, q BankQuery) ([]Bank, error) {
	var out []Bank
	seen := map[string]bool{}
	for page := 1; page <= maxBankPages; page++ {
		query := url.Values{"perPage": {strconv.Itoa(banksPerPage)}, "page": {strconv.Itoa(page)}}
		for name, value := range map[string]string{"country": q.Country, "currency": q.Currency, "type": q.Type} {
			if value != "" {
				query.Set(name, value)
			}
		}
		var data list
		if err := c.get(ctx, "/bank", "/bank", query, &data); err != nil {
			return nil, err
		}
		fresh := 0
		for _, item := range data {
			b := bankOf(item.Fields)
			if b.Code == "" || seen[b.Type+"/"+b.Code+"/"+b.ID] {
				continue
			}
			fresh++
			seen[b.Type+"/"+b.Code+"/"+b.ID] = true
			out = append(out, b)
		}
		if len(data) < banksPerPage || fresh == 0 { // a list that ignores pages comes whole each time
			break
		}
	}
	return out, nil
}

func bankOf(f wire.Fields) Bank {
	return Bank{ID: id(f, "id"), Name: text(f, "name"), Slug: text(f, "slug"), Code: text(f, "code"), Type: text(f, "type"),
		Country: text(f, "country"), Currency: text(f, "currency"), Active: f.Text("active") == "true" && f.Text("is_deleted") != "true"}
}

// Account is a bank account whose owner's name the bank told.
type Account struct {
	Number string
	Name   string
	BankID string
}

var (
	accountNumber = regexp.MustCompile(`^[A-Za-z0-9-]{3,34}$`)
	bankCode      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)
)

// ResolveAccount asks a bank for the name of an account's owner. Not every bank can tell: a Definite error says that there is no such
// account or that nobody can say.
func (c *Client) ResolveAccount(ctx context.Context, bank, number string) (Account, error) {
	switch {
	case !bankCode.MatchString(bank):
		return Account{}, invalid("Bank")
	case !accountNumber.MatchString(number):
		return Account{}, invalid("Number")
	}
	var data object
	if err := c.get(ctx, "/bank/resolve", "/bank/resolve", url.Values{"account_number": {number}, "bank_code": {bank}}, &data); err != nil {
		return Account{}, err
	}
	out := Account{Number: text(data.Fields, "account_number"), Name: text(data.Fields, "account_name"), BankID: id(data.Fields, "bank_id")}
	switch {
	case out.Name == "":
		return Account{}, unreadable()
	case out.Number != number:
		return Account{}, foreign("account")
	}
	return out, nil
}

// RecipientRequest makes an account known to Paystack, so that money can be sent there.
type RecipientRequest struct {
	Type          string // KEPSS, Wallet or MobileMoneyBusiness
	Name          string
	AccountNumber string // of a wallet in Kenya: 07… or 01…
	BankCode      string // as ListBanks tells it
	Currency      string // "" is KES
}

// Recipient is an account known to Paystack.
type Recipient struct {
	Code          string
	Type          string
	Name          string
	Currency      string
	AccountNumber string
	AccountName   string // as the bank has it; often absent
	BankCode      string
	BankName      string
	Active        bool
}

// CreateRecipient makes an account known. It moves nothing and can be repeated: the same account is the same recipient. An answer for
// another account is an error.
func (c *Client) CreateRecipient(ctx context.Context, r RecipientRequest) (Recipient, error) {
	currency, err := currencyOf(r.Currency)
	switch {
	case err != nil:
		return Recipient{}, err
	case !slices.Contains([]string{KEPSS, Wallet, MobileMoneyBusiness}, r.Type):
		return Recipient{}, invalid("Type")
	case wire.Clean(r.Name) == "" || utf8.RuneCountInString(r.Name) > 200:
		return Recipient{}, invalid("Name")
	case !accountNumber.MatchString(r.AccountNumber):
		return Recipient{}, invalid("AccountNumber")
	case !bankCode.MatchString(r.BankCode):
		return Recipient{}, invalid("BankCode")
	}
	var data object
	err = c.post(ctx, "/transferrecipient", map[string]any{"type": r.Type, "name": r.Name, "account_number": r.AccountNumber,
		"bank_code": r.BankCode, "currency": currency}, &data)
	if err != nil {
		return Recipient{}, err
	}
	out := recipientOf(data.Fields)
	switch {
	case out.Code == "":
		return Recipient{}, unreadable()
	case out.Type != r.Type || out.Currency != currency || out.AccountNumber != r.AccountNumber || out.BankCode != r.BankCode:
		return Recipient{}, foreign("account")
	}
	return out, nil
}

func recipientOf(f wire.Fields) Recipient {
	details := child(f, "details")
	return Recipient{Code: text(f, "recipient_code"), Type: text(f, "type"), Name: text(f, "name"), Currency: text(f, "currency"),
		AccountNumber: text(details, "account_number"), AccountName: text(details, "account_name"), BankCode: text(details, "bank_code"),
		BankName: text(details, "bank_name"), Active: f.Text("active") == "true" && f.Text("is_deleted") != "true"}
}
