package domain

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
)

// TestHoldRefusals: what a hold, a capture or a release is refused for, and that it then leaves nothing behind.
func TestHoldRefusals(t *testing.T) {
	t.Parallel()
	carol := uuid.MustParse("01937c5e-3333-7c1b-9d7e-3f6b2a1c0d4e")
	line := func(to uuid.UUID, left int64) HoldLine { return HoldLine{Destination: to, Amount: 50, Remaining: left} }
	ugx := Posting{Source: alice, Destination: bob, Amount: 10, Currency: "UGX"}
	part := func(action Action, amount int64, currency string) Body {
		return Body{Action: action, HoldID: bank, HasAmount: true, Amount: amount, Currency: currency}
	}
	on := func(action Action, postings ...Posting) Body {
		return Body{Action: action, HoldID: bank, Postings: postings}
	}
	for name, c := range map[string]struct {
		lines []HoldLine
		body  Body
		code  string
	}{
		"hold of two currencies":       {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, bob, 1), ugx}}, "currency_mismatch"},
		"hold in another currency":     {nil, Body{Action: ActionHold, Postings: []Posting{ugx}}, "currency_mismatch"},
		"hold to nobody":               {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, carol, 1)}}, "account_not_found"},
		"hold of nobody":               {nil, Body{Action: ActionHold, Postings: []Posting{posting(carol, bob, 1)}}, "account_not_found"},
		"hold that counts too far":     {nil, Body{Action: ActionHold, Postings: []Posting{posting(bank, bob, 1)}}, "balance_overflow"},
		"hold too much":                {nil, Body{Action: ActionHold, Postings: []Posting{posting(alice, bob, 51)}}, "insufficient_funds"},
		"capture from another account": {[]HoldLine{line(bob, 50)}, on(ActionCapture, posting(bob, alice, 1)), "hold_mismatch"},
		"capture in another currency":  {[]HoldLine{line(bob, 50)}, on(ActionCapture, ugx), "currency_mismatch"},
		"capture of another currency":  {[]HoldLine{line(bob, 50)}, part(ActionCapture, 1, "UGX"), "currency_mismatch"},
		"capture a part of two lines":  {[]HoldLine{line(bob, 25), line(alice, 25)}, part(ActionCapture, 1, "KES"), "hold_mismatch"},
		"capture too much":             {[]HoldLine{line(bob, 50)}, part(ActionCapture, 51, "KES"), "capture_above_hold"},
		"capture too much in postings": {[]HoldLine{line(bob, 50)}, on(ActionCapture, posting(alice, bob, 30), posting(alice, bob, 21)),
			"capture_above_hold"},
		"capture along no line":         {nil, on(ActionCapture), "hold_mismatch"},
		"capture to nobody":             {[]HoldLine{line(bob, 50)}, on(ActionCapture, posting(alice, carol, 1)), "account_not_found"},
		"capture whose line leads away": {[]HoldLine{line(carol, 50)}, on(ActionCapture, posting(alice, bob, 1)), "account_not_found"},
		"release of another currency":   {[]HoldLine{line(bob, 50)}, part(ActionRelease, 1, "UGX"), "currency_mismatch"},
		"release too much":              {[]HoldLine{line(bob, 50)}, part(ActionRelease, 51, "KES"), "release_above_hold"},
		"release of a requested hold": {[]HoldLine{line(bob, 50)}, Body{Action: ActionRelease, HoldID: bank, UpToMaximum: true},
			"hold_mismatch"},
		"release of no hold":       {nil, Body{Action: ActionRelease, HoldID: carol}, "hold_not_found"},
		"capture all":              {[]HoldLine{line(bob, 50)}, on(ActionCapture), ""},
		"capture one of two lines": {[]HoldLine{line(bob, 0), line(bob, 50)}, on(ActionCapture), ""},
		"release all":              {[]HoldLine{line(bob, 50)}, Body{Action: ActionRelease, HoldID: bank}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			minimum := int64(0)
			s := state(Account{ID: alice, NormalSide: Credit, Credits: 100, PendingDebits: 50, Minimum: &minimum},
				Account{ID: bob, NormalSide: Credit, PendingCredits: 50}, Account{ID: bank, NormalSide: Debit, PendingDebits: maxCounter})
			s.Holds = map[uuid.UUID]HoldState{bank: {ID: bank, AccountID: alice, Currency: "KES", Amount: 50, Lines: c.lines, Reason: HoldRequested,
				Status: HoldActive}}
			d := Decide(s, []Request{{TransactionID: carol, Reference: "r", Body: c.body}})
			if d.Outcomes[0].Code != c.code {
				t.Fatalf("%+v, want %q", d.Outcomes[0], c.code)
			}
			if c.code != "" && len(d.Transactions)+len(d.Accounts)+len(d.Holds)+len(d.NewHolds) > 0 {
				t.Errorf("a refusal writes %+v", d)
			}
			if c.code != "" {
				return
			}
			if h := d.Holds[0]; h.Remaining() != 0 || h.Status == HoldActive || d.Transactions[0].HoldDelta != -50 {
				t.Errorf("%+v %+v", h, d.Transactions[0])
			}
		})
	}
}

// TestAccountRules: both sides of each limit of an account that is opened, and of one that is changed.
func TestAccountRules(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	good := func() Account {
		return Account{ID: alice, OwnerID: bob, Kind: KindCustomerWallet, Currency: "KES"}
	}
	for name, c := range map[string]struct {
		change  func(a *Account)
		pointer string // of the field that is refused; "" for none
	}{
		"as it is":                  {func(*Account) {}, ""},
		"no id":                     {func(a *Account) { a.ID = uuid.Nil }, "/account_id"},
		"no owner":                  {func(a *Account) { a.OwnerID = uuid.Nil }, "/owner_id"},
		"a system account":          {func(a *Account) { a.Kind = KindSystem }, "/kind"},
		"an unknown kind":           {func(a *Account) { a.Kind = "purse" }, "/kind"},
		"a currency in small":       {func(a *Account) { a.Currency = "kes" }, "/currency"},
		"no currency":               {func(a *Account) { a.Currency = "" }, "/currency"},
		"the book of loans":         {func(a *Account) { a.Book = BookLending }, ""},
		"the book of savings":       {func(a *Account) { a.Book = BookSavings }, ""},
		"an unknown book":           {func(a *Account) { a.Book = "petty" }, "/book"},
		"an unknown status":         {func(a *Account) { a.Status = "gone" }, "/status"},
		"frozen from the start":     {func(a *Account) { a.Status = Frozen }, ""},
		"a minimum above zero":      {func(a *Account) { a.Minimum = number(1) }, "/minimum_minor"},
		"the lowest minimum":        {func(a *Account) { a.Minimum = number(-MaxAmount) }, ""},
		"a minimum below all":       {func(a *Account) { a.Minimum = number(-MaxAmount - 1) }, "/minimum_minor"},
		"a maximum of nothing":      {func(a *Account) { a.Maximum = number(0) }, ""},
		"a maximum below nothing":   {func(a *Account) { a.Maximum = number(-1) }, "/maximum_minor"},
		"the highest maximum":       {func(a *Account) { a.Maximum = number(MaxAmount) }, ""},
		"a maximum above all":       {func(a *Account) { a.Maximum = number(MaxAmount + 1) }, "/maximum_minor"},
		"a maximum below a minimum": {func(a *Account) { a.Minimum, a.Maximum = number(-1), number(-2) }, "/maximum_minor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := good()
			c.change(&a)
			got, err := NewAccount(a)
			if c.pointer == "" {
				if err != nil || got.NormalSide != Credit || got.Minimum == nil || got.Status == "" {
					t.Errorf("%+v %v", got, err)
				}
				return
			}
			if f, ok := fault.As(err); !ok || !errors.Is(err, ErrRulesInvalid) || len(f.Fields) != 1 || f.Fields[0].Pointer != c.pointer {
				t.Errorf("%v, want %s", err, c.pointer)
			}
		})
	}
}

// TestAccountChange: what may be changed of an account, with money and holds on it.
func TestAccountChange(t *testing.T) {
	t.Parallel()
	number := func(n int64) *int64 { return &n }
	was := Account{ID: alice, OwnerID: bob, Kind: KindCustomerWallet, Currency: "KES", NormalSide: Credit, Status: Active, Credits: 100,
		PendingDebits: 30, Minimum: number(0)}
	for name, c := range map[string]struct {
		change  func(a *Account)
		want    error
		changed bool
	}{
		"nothing":                        {func(*Account) {}, nil, false},
		"the same values":                {func(a *Account) { a.Minimum = number(0) }, nil, false},
		"another owner":                  {func(a *Account) { a.OwnerID = alice }, ErrAccountDiffers, false},
		"another kind":                   {func(a *Account) { a.Kind = KindAgentFloat }, ErrAccountDiffers, false},
		"another currency":               {func(a *Account) { a.Currency = "UGX" }, ErrAccountDiffers, false},
		"a minimum of what is available": {func(a *Account) { a.Minimum = number(70) }, nil, true},
		"a minimum above it":             {func(a *Account) { a.Minimum = number(71) }, ErrRulesInvalid, false},
		"a maximum below the balance":    {func(a *Account) { a.Maximum = number(1) }, nil, true},
		"frozen":                         {func(a *Account) { a.Status = Frozen }, nil, true},
		"closed with money":              {func(a *Account) { a.Status = Closed }, ErrAccountNotEmpty, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, want := was, was
			c.change(&want)
			changed, err := a.Change(want)
			if !errors.Is(err, c.want) || changed != c.changed {
				t.Fatalf("%v %v, want %v %v", changed, err, c.changed, c.want)
			}
			if !changed && (a.Status != was.Status || !equal(a.Minimum, was.Minimum) || !equal(a.Maximum, was.Maximum)) {
				t.Errorf("it is %+v", a)
			}
		})
	}
	empty := was
	empty.Debits, empty.PendingDebits = 100, 0
	for name, left := range map[string]func(a *Account){
		"money": func(a *Account) { a.Credits++ }, "a hold": func(a *Account) { a.PendingDebits, a.Minimum = 1, nil },
		"money to come": func(a *Account) { a.PendingCredits = 1 },
	} {
		a := empty
		left(&a)
		want := a
		want.Status = Closed
		if _, err := a.Change(want); !errors.Is(err, ErrAccountNotEmpty) {
			t.Errorf("with %s: %v", name, err)
		}
	}
	want := empty
	want.Status = Closed
	if changed, err := empty.Change(want); !changed || err != nil {
		t.Errorf("%v %v", changed, err)
	}
	want.Status = Active
	if _, err := empty.Change(want); !errors.Is(err, ErrAccountClosed) {
		t.Errorf("a closed account is opened: %v", err)
	}
}
