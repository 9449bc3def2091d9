package testworld

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	userapi "github.com/sendtip/sendtip/generated/user/api"
)

// Ledger is a scripted ledger: it keeps balances of what it is asked to post, once per reference, and can lose answers.
type Ledger struct {
	transactionsapi.StrictServerInterface

	mu       sync.Mutex
	balances map[string]int64
	maximum  map[string]int64
	outcomes map[string]transactionsapi.Outcome
	bodies   map[string]string
	posts    int
	refuse   string // code for the next postings
	refuseOf map[string]string
	held     map[uuid.UUID]int64
	before   func() bool
	after    func() bool
	behalf   []string
}

func newLedger() *Ledger {
	return &Ledger{balances: map[string]int64{}, maximum: map[string]int64{}, outcomes: map[string]transactionsapi.Outcome{},
		bodies: map[string]string{}, refuseOf: map[string]string{}, held: map[uuid.UUID]int64{}}
}

// script breaks connections where the test wants it: before the posting, or after it.
func (l *Ledger) script(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		before, after := l.before, l.after
		l.behalf = append(l.behalf, r.Header.Get("Sendtip-On-Behalf-Of"))
		l.mu.Unlock()
		if before != nil && before() {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
		if after != nil && after() {
			panic(http.ErrAbortHandler)
		}
	})
}

// Lose breaks the connection of each request while lost says so: before it is posted, or after.
func (l *Ledger) Lose(before, after func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.after = before, after
}

// Refuse makes the next postings end in a refusal; "" ends that.
func (l *Ledger) Refuse(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = code
}

// RefuseFor makes the posting of one reference end in a refusal.
func (l *Ledger) RefuseFor(reference, code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuseOf[reference] = code
}

// Set gives an account a balance in minor units.
func (l *Ledger) Set(account string, minor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.balances[account] = minor
}

// Balance is what the postings left, in minor units. Accounts of the chart can be negative here: there are no sides.
func (l *Ledger) Balance(account string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.balances[account]
}

// Maximum is what the last putAccount said, in minor units.
func (l *Ledger) Maximum(account uuid.UUID) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.maximum[account.String()]
}

// Posts is how many posting requests arrived, repeated ones included.
func (l *Ledger) Posts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.posts
}

// References are what was posted.
func (l *Ledger) References() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]string{}
	for reference, o := range l.outcomes {
		out[reference] = string(o.Status)
	}
	return out
}

// Behalf are the delegation tokens of all requests so far.
func (l *Ledger) Behalf() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.behalf...)
}

// PostTransactions answers POST /v1/ledger/transactions.
func (l *Ledger) PostTransactions(_ context.Context,
	r transactionsapi.PostTransactionsRequestObject) (transactionsapi.PostTransactionsResponseObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts++
	var out transactionsapi.PostTransactions200JSONResponse
	for _, t := range r.Body.Transactions {
		o, err := l.post(t)
		if err != nil {
			return nil, err
		}
		out.Outcomes = append(out.Outcomes, o)
	}
	return out, nil
}

func (l *Ledger) post(t transactionsapi.LedgerRequest) (transactionsapi.Outcome, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return transactionsapi.Outcome{}, err
	}
	refused := func(code string) transactionsapi.Outcome {
		return transactionsapi.Outcome{Reference: t.Reference, Status: transactionsapi.OutcomeStatusRefused, Code: &code}
	}
	if o, known := l.outcomes[t.Reference]; known {
		if l.bodies[t.Reference] != string(body) {
			return refused("reference_reused"), nil
		}
		return o, nil
	}
	code := l.refuse + l.refuseOf[t.Reference]
	o := refused(code)
	if code == "" {
		o = l.apply(t, refused)
	}
	l.outcomes[t.Reference], l.bodies[t.Reference] = o, string(body)
	return o, nil
}

func (l *Ledger) apply(t transactionsapi.LedgerRequest, refused func(string) transactionsapi.Outcome) transactionsapi.Outcome {
	spent := map[string]int64{}
	for _, p := range t.Postings {
		if _, err := uuid.Parse(p.Source); err == nil {
			spent[p.Source] += p.Amount.Amount
		}
		maximum, limited := l.maximum[p.Destination]
		if limited && t.OverMaximum == nil && l.balances[p.Destination]+p.Amount.Amount > maximum {
			return refused("over_maximum")
		}
	}
	for account, minor := range spent {
		if l.balances[account] < minor {
			return refused("insufficient_funds")
		}
	}
	for _, p := range t.Postings {
		l.balances[p.Source] -= p.Amount.Amount
		l.balances[p.Destination] += p.Amount.Amount
	}
	id := uuid.Must(uuid.NewV7())
	return transactionsapi.Outcome{Reference: t.Reference, Status: transactionsapi.OutcomeStatusPosted, TransactionID: &id}
}

// PutAccount answers PUT /v1/ledger/accounts/{account_id}.
func (l *Ledger) PutAccount(_ context.Context,
	r transactionsapi.PutAccountRequestObject) (transactionsapi.PutAccountResponseObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Body.MaximumMinor == nil || r.Body.Kind != transactionsapi.AccountKindCustomerWallet {
		return nil, fmt.Errorf("a wallet without a maximum")
	}
	l.maximum[r.AccountID.String()] = *r.Body.MaximumMinor
	zero := common.Money{Currency: r.Body.Currency}
	return transactionsapi.PutAccount200JSONResponse{ID: r.AccountID, Kind: r.Body.Kind, Book: transactionsapi.BookEmoney,
		NormalSide: transactionsapi.NormalSideCredit, Status: transactionsapi.AccountStatusActive, Balance: zero, Available: zero,
		Held: zero}, nil
}

// Hold makes a part of an account's balance be held above its maximum, in minor units.
func (l *Ledger) Hold(account uuid.UUID, minor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[account] = minor
}

// GetAccountBalance answers GET /v1/ledger/accounts/{account_id}/balance.
func (l *Ledger) GetAccountBalance(_ context.Context,
	r transactionsapi.GetAccountBalanceRequestObject) (transactionsapi.GetAccountBalanceResponseObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := transactionsapi.GetAccountBalance200JSONResponse{AccountID: r.AccountID, AsOf: time.Now().UTC(),
		Balance: common.Money{Amount: l.balances[r.AccountID.String()], Currency: "KES"}}
	if held := l.held[r.AccountID]; held > 0 {
		out.HeldAboveMaximum = &common.Money{Amount: held, Currency: "KES"}
	}
	return out, nil
}

// Users is a scripted user service.
type Users struct {
	userapi.StrictServerInterface

	mu     sync.Mutex
	phones map[string]uuid.UUID
	down   bool
	secret bool

	numberless map[uuid.UUID]bool // customers whose number may not be used
	standings  map[uuid.UUID]userapi.Standing
	before     func()
}

func newUsers() *Users {
	return &Users{phones: map[string]uuid.UUID{}, standings: map[uuid.UUID]userapi.Standing{}, numberless: map[uuid.UUID]bool{}}
}

func (u *Users) script(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		down := u.down
		u.mu.Unlock()
		if down {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// Down breaks every connection, or stops doing so.
func (u *Users) Down(down bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.down = down
}

// Stand is what user answers about a customer from here on.
func (u *Users) Stand(s userapi.Standing) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.standings[s.UserID] = s
}

// Before runs do with each question about a standing, between the question and its answer.
func (u *Users) Before(do func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.before = do
}

// GetStanding answers GET /v1/internal/users/{user_id}/standing.
func (u *Users) GetStanding(_ context.Context, r userapi.GetStandingRequestObject) (userapi.GetStandingResponseObject, error) {
	u.mu.Lock()
	before := u.before
	s, ok := u.standings[r.UserID]
	u.mu.Unlock()
	if before != nil {
		before()
	}
	if !ok {
		return userapi.GetStanding404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return userapi.GetStanding200JSONResponse(s), nil
}

// Withhold refuses contacts, as the gateway does to a service without the scope.
func (u *Users) Withhold() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.secret = true
}

// TakeNumber makes a customer's number one that may not be used.
func (u *Users) TakeNumber(id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.numberless[id] = true
}

func (u *Users) add(id uuid.UUID) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	phone := fmt.Sprintf("+2547%08d", len(u.phones)+1)
	u.phones[phone] = id
	return phone
}

func notFound() common.NotFoundApplicationProblemPlusJSONResponse {
	return common.NotFoundApplicationProblemPlusJSONResponse{Type: "https://docs.sendtip.dev/problems/recipient_not_found", Title: "Not Found",
		Status: 404, Code: "recipient_not_found", RequestID: "r"}
}

// LookupRecipient answers POST /v1/internal/recipient-lookups.
func (u *Users) LookupRecipient(_ context.Context, r userapi.LookupRecipientRequestObject) (userapi.LookupRecipientResponseObject, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	id, ok := u.phones[r.Body.Phone]
	if !ok {
		return userapi.LookupRecipient404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	if u.numberless[id] {
		held := notFound()
		held.Code = "recipient_in_review"
		return userapi.LookupRecipient404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: held}, nil
	}
	return userapi.LookupRecipient200JSONResponse{UserID: id, MaskedName: "Amina W.", Status: "active", Tier: 1}, nil
}

// GetContacts answers GET /v1/internal/users/{user_id}/contacts.
func (u *Users) GetContacts(_ context.Context, r userapi.GetContactsRequestObject) (userapi.GetContactsResponseObject, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.secret {
		return userapi.GetContacts403ApplicationProblemPlusJSONResponse{
			ForbiddenApplicationProblemPlusJSONResponse: common.ForbiddenApplicationProblemPlusJSONResponse{
				Type: "https://docs.sendtip.dev/problems/forbidden", Title: "Forbidden", Status: 403, Code: "forbidden", RequestID: "r"}}, nil
	}
	if u.numberless[r.UserID] {
		return userapi.GetContacts200JSONResponse{Language: "en"}, nil
	}
	for phone, id := range u.phones {
		if id == r.UserID {
			name := "Amina W."
			return userapi.GetContacts200JSONResponse{Phone: &phone, Language: "en", MaskedName: &name}, nil
		}
	}
	return userapi.GetContacts404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
}

// ListSystemAccounts answers GET /v1/ledger/system-accounts with the paybill's account.
func (l *Ledger) ListSystemAccounts(context.Context,
	transactionsapi.ListSystemAccountsRequestObject) (transactionsapi.ListSystemAccountsResponseObject, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code, zero := "rail.mpesa.paybill.KES", common.Money{Currency: "KES"}
	held := common.Money{Amount: -l.balances[code], Currency: "KES"} // an asset: what was credited out of it is there
	return transactionsapi.ListSystemAccounts200JSONResponse{Totals: []transactionsapi.CurrencyTotal{}, Data: []transactionsapi.LedgerAccount{
		{ID: uuid.Must(uuid.NewV7()), Code: &code, Kind: transactionsapi.AccountKindSystem, Book: transactionsapi.BookEmoney,
			NormalSide: transactionsapi.NormalSideDebit, Status: transactionsapi.AccountStatusActive, Balance: held, Available: held,
			Held: zero}}}, nil
}
