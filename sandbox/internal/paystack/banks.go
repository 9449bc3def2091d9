package paystack

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

type bank struct{ name, code, kind string }

// banks are some of Kenya's. At Paystack the list is the endpoint's, so that nobody depends on these codes.
var banks = []bank{
	{"Absa Bank Kenya Plc", "03", paystack.KEPSS}, {"Co-operative Bank of Kenya Limited", "11", paystack.KEPSS},
	{"Diamond Trust Bank Kenya Limited", "63", paystack.KEPSS}, {"Equity Bank Kenya Limited", "68", paystack.KEPSS},
	{"Family Bank Limited", "70", paystack.KEPSS}, {"I&M Bank Limited", "57", paystack.KEPSS},
	{"Kenya Commercial Bank Limited", "01", paystack.KEPSS}, {"NCBA Bank Kenya Plc", "07", paystack.KEPSS},
	{"Stanbic Bank Kenya Limited", "31", paystack.KEPSS}, {"Standard Chartered Bank Kenya Limited", "02", paystack.KEPSS},
	{"M-PESA", "MPESA", paystack.Wallet}, {"Airtel Money", "ATL_KE", paystack.Wallet},
	{"M-PESA Till", "MPTILL", paystack.MobileMoneyBusiness}, {"M-PESA Paybill", "MPPAYBILL", paystack.MobileMoneyBusiness},
}

func bankOf(code string) (bank, int, bool) {
	for i, b := range banks {
		if b.code == code {
			return b, 200 + i, true
		}
	}
	return bank{}, 0, false
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

func (s *Server) listBanks(w http.ResponseWriter, r *http.Request, _ fields) {
	q := r.URL.Query()
	out := []map[string]any{}
	for i, b := range banks {
		if (q.Get("country") != "" && q.Get("country") != "kenya") || (q.Get("currency") != "" && q.Get("currency") != paystack.KES) ||
			(q.Get("type") != "" && q.Get("type") != b.kind) {
			continue
		}
		out = append(out, map[string]any{"name": b.name, "slug": strings.Trim(notSlug.ReplaceAllString(strings.ToLower(b.name), "-"), "-") +
			"-ke",
			"code": b.code, "longcode": "", "gateway": nil, "pay_with_bank": false, "supports_transfer": true, "available_for_direct_debit": false,
			"active": true, "is_deleted": nil, "country": "Kenya", "currency": paystack.KES, "type": b.kind, "id": 200 + i,
			"createdAt": "2024-01-01T00:00:00.000Z", "updatedAt": "2024-01-01T00:00:00.000Z"})
	}
	size, page := positive(q.Get("perPage"), 50), positive(q.Get("page"), 1)
	answer(w, http.StatusOK, "Banks retrieved", cut(out, size, page))
}

// cut is one page of a list.
func cut[T any](list []T, size, page int) []T {
	from := min((page-1)*size, len(list))
	return list[from:min(from+size, len(list))]
}

func positive(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 1000 {
		return n
	}
	return otherwise
}

var account = regexp.MustCompile(`^\d{5,20}$`)

// owner is the name at the bank, the same each time. Accounts that end with 0000 do not exist.
func owner(number string) (string, bool) {
	first, last := world.Name(number)
	return first + " " + last, account.MatchString(number) && !strings.HasSuffix(number, "0000")
}

// resolve tells the owner of a bank account. Wallets have none to tell.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, _ fields) {
	number, code := r.URL.Query().Get("account_number"), r.URL.Query().Get("bank_code")
	b, id, known := bankOf(code)
	name, exists := owner(number)
	if !known || b.kind != paystack.KEPSS || !exists {
		refuse(w, "invalid_params", "Could not resolve account name. Check parameters or try again.")
		return
	}
	answer(w, http.StatusOK, "Account number resolved", map[string]any{"account_number": number, "account_name": name, "bank_id": id})
}

// recipient is an account that money can be sent to.
type recipient struct {
	number  int64
	code    string
	kind    string
	name    string
	bank    bank
	account string
	created any
}

func (s *Server) createRecipient(w http.ResponseWriter, r *http.Request, in fields) {
	kind, number, name := in.text("type"), in.text("account_number"), in.text("name")
	b, _, known := bankOf(in.text("bank_code"))
	switch {
	case name == "":
		refuse(w, "missing_params", "Name is required")
		return
	case !known || b.kind != kind:
		refuse(w, "invalid_bank_code", "Invalid bank code for this type of recipient")
		return
	case in.text("currency") != paystack.KES:
		refuse(w, "unsupported_currency", "Currency not supported for this type of recipient")
		return
	case !account.MatchString(number):
		refuse(w, "invalid_account_number", "Account number is invalid")
		return
	}
	s.mu.Lock()
	script := s.scripts.accounts[number].Over(s.scripts.global).Over(builtIn)
	if before(w, script.Answer) {
		s.mu.Unlock()
		return
	}
	key, status := fmt.Sprintf("%s/%s/%s", kind, b.code, number), http.StatusOK
	c := s.accounts[key]
	if c == nil {
		if len(s.accounts) >= maxObjects {
			s.mu.Unlock()
			broken(w)
			return
		}
		status = http.StatusCreated
		c = &recipient{number: s.next(), code: s.code("RCP_"), kind: kind, name: name, bank: b, account: number, created: stamp(s.world.Now())}
		s.accounts[key], s.recipients[c.code] = c, c
	}
	s.mu.Unlock()
	s.after(w, r, script.Answer, status, "Transfer recipient created successfully", s.recipient(c))
}

// recipient is an account as answers and webhooks have it. It never changes.
func (s *Server) recipient(c *recipient) map[string]any {
	known := any(nil)
	if name, ok := owner(c.account); ok && c.kind == paystack.KEPSS {
		known = name
	}
	return map[string]any{"active": true, "createdAt": c.created, "currency": paystack.KES, "description": "", "domain": s.domain, "email": "",
		"id": c.number, "integration": integration, "metadata": nil, "name": c.name, "recipient_code": c.code, "type": c.kind,
		"updatedAt": c.created, "is_deleted": false, "isDeleted": false, "details": map[string]any{"authorization_code": nil,
			"account_number": c.account, "account_name": known, "bank_code": c.bank.code, "bank_name": c.bank.name}}
}
