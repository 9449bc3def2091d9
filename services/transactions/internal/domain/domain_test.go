package domain

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/fault"
)

var (
	alice = uuid.MustParse("01937c5e-1111-7c1b-9d7e-3f6b2a1c0d4e")
	bob   = uuid.MustParse("01937c5e-2222-7c1b-9d7e-3f6b2a1c0d4e")
	bank  = SystemAccountID("rail.mpesa.paybill.KES")
)

func posting(from, to uuid.UUID, amount int64) Posting {
	return Posting{Source: from, Destination: to, Amount: amount, Currency: "KES"}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() Request {
		return Request{Reference: "a:post",
			Body: Body{Action: ActionPost, Type: "transfer", Channel: "internal", Postings: []Posting{posting(alice, bob, 1)}}}
	}
	longest := good()
	longest.Reference = strings.Repeat("a", 64)
	for _, r := range []Request{good(), longest} {
		if err := Validate([]Request{r}, false, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		code, pointer string
		change        func(*Request)
	}{
		"no reference":      {"reference_invalid", "/reference", func(r *Request) { r.Reference = "" }},
		"reference of 65":   {"reference_invalid", "/reference", func(r *Request) { r.Reference = strings.Repeat("a", 65) }},
		"reserved":          {"reference_reserved", "/reference", func(r *Request) { r.Reference = "a:expire" }},
		"reserved for room": {"reference_reserved", "/reference", func(r *Request) { r.Reference = RoomRelease(alice, 7).Reference }},
		"type":              {"type_invalid", "/type", func(r *Request) { r.Type = "Transfer" }},
		"channel":           {"channel_invalid", "/channel", func(r *Request) { r.Channel = "sms" }},
		"action":            {"action_invalid", "/action", func(r *Request) { r.Action = "void" }},
		"no postings":       {"postings_invalid", "/postings", func(r *Request) { r.Postings = nil }},
		"21 postings":       {"postings_invalid", "/postings", func(r *Request) { r.Postings = make([]Posting, 21) }},
		"zero":              {"amount_invalid", "/postings/0/amount/amount", func(r *Request) { r.Postings[0].Amount = 0 }},
		"negative":          {"amount_invalid", "/postings/0/amount/amount", func(r *Request) { r.Postings[0].Amount = -1 }},
		"2^53":              {"amount_invalid", "/postings/0/amount/amount", func(r *Request) { r.Postings[0].Amount = 1 << 53 }},
		"sum of 2^53": {"amount_invalid", "/postings",
			func(r *Request) { r.Postings = []Posting{posting(alice, bob, MaxAmount), posting(alice, bob, 1)} }},
		"currency":             {"currency_invalid", "/postings/0/amount/currency", func(r *Request) { r.Postings[0].Currency = "kes" }},
		"same account":         {"same_account", "/postings/0/destination", func(r *Request) { r.Postings[0].Destination = alice }},
		"amount of a post":     {"field_not_allowed", "/amount", func(r *Request) { r.HasAmount, r.Amount, r.Currency = true, 1, "KES" }},
		"hold of a post":       {"hold_id_invalid", "/hold_id", func(r *Request) { r.HoldID = alice }},
		"original of a post":   {"transaction_id_invalid", "/transaction_id", func(r *Request) { r.OriginalID = alice }},
		"expiry of a post":     {"field_not_allowed", "/expires_at", func(r *Request) { r.ExpiresAt = new(time.Unix(1, 0)) }},
		"capture without hold": {"hold_id_invalid", "/hold_id", func(r *Request) { r.Action = ActionCapture }},
		"reverse of nothing":   {"transaction_id_invalid", "/transaction_id", func(r *Request) { r.Action = ActionReverse }},
		"release of postings":  {"field_not_allowed", "/postings", func(r *Request) { r.Action, r.HoldID = ActionRelease, alice }},
		"over maximum of hold": {"field_not_allowed", "/over_maximum", func(r *Request) { r.Action, r.OverMaximum = ActionHold, true }},
		"hold of two": {"hold_one_source", "/postings/1/source",
			func(r *Request) { r.Action = ActionHold; r.Postings = append(r.Postings, posting(bob, alice, 1)) }},
		"facts":         {"metadata_invalid", "/metadata", func(r *Request) { r.Metadata = map[string]string{"a": "\x00"} }},
		"up to maximum": {"field_not_allowed", "/up_to_maximum", func(r *Request) { r.UpToMaximum = true }},
		"up to an amount": {"field_not_allowed", "/up_to_maximum", func(r *Request) {
			r.Body = Body{Action: ActionRelease, Type: "x", Channel: "internal", HoldID: alice, UpToMaximum: true, HasAmount: true, Amount: 1,
				Currency: "KES"}
		}},
		"expiry in year 10000": {"expires_at_invalid", "/expires_at",
			func(r *Request) { r.Action, r.ExpiresAt = ActionHold, new(latest.Add(time.Microsecond)) }},
		"expiry before year 0": {"expires_at_invalid", "/expires_at",
			func(r *Request) { r.Action, r.ExpiresAt = ActionHold, new(time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC)) }},
		"effective before 0": {"effective_at_invalid", "/effective_at",
			func(r *Request) { r.EffectiveAt = new(time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC)) }},
		"effective at zero time": {"effective_at_invalid", "/effective_at", func(r *Request) { r.EffectiveAt = new(time.Time) }},
		"effective tomorrow": {"effective_at_invalid", "/effective_at",
			func(r *Request) { r.EffectiveAt = new(time.Now().Add(24 * time.Hour)) }},
		"invalid UTF-8": {"metadata_invalid", "/metadata", func(r *Request) { r.Metadata = map[string]string{"a": "\xff"} }},
		"NUL in a key":  {"metadata_invalid", "/metadata", func(r *Request) { r.Metadata = map[string]string{"\x00": "a"} }},
		"long fact":     {"metadata_invalid", "/metadata", func(r *Request) { r.Metadata = map[string]string{"a": strings.Repeat("é", 201)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good()
			c.change(&r)
			f, ok := fault.As(Validate([]Request{good(), r}, false, time.Now()))
			if !ok || f.Kind != fault.Unprocessable || f.Code != c.code || f.Fields[0].Pointer != "/transactions/1"+c.pointer {
				t.Errorf("got %+v, want %s at %s", f, c.code, c.pointer)
			}
		})
	}
}

// TestHashIsFixed pins the encoding: a change of it would turn repeats of stored references into reference_reused.
func TestHashIsFixed(t *testing.T) {
	t.Parallel()
	r := Request{Reference: "a", TransactionID: alice, Body: Body{Action: ActionPost, Type: "transfer", Channel: "internal",
		Postings: []Posting{posting(alice, bob, 100)}, Metadata: map[string]string{"b": "2", "a": "1"}}}
	const want, old = "533ba76729ecc72efe5e6e8f7a9d125cb8b83fbafd94d63d26962298dc329905",
		"32e22febf9faf1113464f9cb385de66e54aabc9d4e30f11cc73771a482ee9f3c"
	if got := hex.EncodeToString(r.Hash()); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	if got := hex.EncodeToString(r.HashWithMetadata()); got != old {
		t.Errorf("hash with metadata %s, want %s", got, old)
	}
	// What is absent, the beginning of the year 1 included, is as it was before there were such fields, or before it could be told from a
	// time.
	r.UpToMaximum, r.ExpiresAt, r.EffectiveAt = false, new(time.Time), new(time.Time)
	if got := hex.EncodeToString(r.Hash()); got != want {
		t.Errorf("with absent fields the hash is %s, want %s", got, want)
	}
	r.ExpiresAt, r.EffectiveAt = nil, nil
	r.UpToMaximum = true
	if got := hex.EncodeToString(r.Hash()); got == want {
		t.Error("the hash does not cover up_to_maximum")
	}
	r.UpToMaximum = false
	r.Reference, r.TransactionID = "b", bob
	if got := hex.EncodeToString(r.Hash()); got != want {
		t.Error("the hash covers more than the body")
	}
	r.Metadata["a"] = "2"
	if got := hex.EncodeToString(r.Hash()); got != want {
		t.Error("the hash covers the metadata: erased facts could be guessed from it")
	}
	r.Postings[0].Amount++
	if got := hex.EncodeToString(r.Hash()); got == want {
		t.Error("the hash does not cover the amount")
	}
}

// TestHashIsThatOfTheEncoder: the hand-written encoding is json.Marshal's, for every valid request without metadata.
func TestHashIsThatOfTheEncoder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) uuid.UUID { return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) })
		when := rapid.Custom(func(t *rapid.T) *time.Time {
			switch rapid.IntRange(0, 3).Draw(t, "absent") {
			case 0:
				return nil
			case 1:
				return new(rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0).UTC(), latest}).Draw(t, "edge"))
			}
			return new(time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC())
		})
		amount := rapid.Int64Range(0, MaxAmount)
		r := Request{Body: Body{Action: rapid.SampledFrom([]Action{ActionPost, ActionHold, ActionCapture, ActionRelease, ActionReverse}).Draw(t,
			"action"),
			Type: rapid.StringMatching(`[a-z][a-z0-9_]{0,39}`).Draw(t, "type"), Channel: rapid.SampledFrom(channels).Draw(t, "channel"),
			Postings: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Posting {
				return Posting{Source: id.Draw(t, "source"), Destination: id.Draw(t, "destination"), Amount: amount.Draw(t, "amount"), Currency: "KES"}
			}), 0, 3).Draw(t, "postings"),
			HoldID: id.Draw(t, "hold"), OriginalID: id.Draw(t, "original"), Amount: amount.Draw(t, "part"),
			HasAmount: rapid.Bool().Draw(t, "partial"),
			Currency:  rapid.SampledFrom([]string{"", "UGX"}).Draw(t, "currency"), OverMaximum: rapid.Bool().Draw(t, "over"),
			UpToMaximum: rapid.Bool().Draw(t, "up to"),
			ExpiresAt:   when.Draw(t, "expires"), EffectiveAt: when.Draw(t, "effective")}}
		if rapid.Bool().Draw(t, "no hold") {
			r.HoldID = uuid.Nil
		}
		if rapid.Bool().Draw(t, "no original") {
			r.OriginalID = uuid.Nil
		}
		if !bytes.Equal(r.Hash(), r.HashWithMetadata()) {
			t.Fatalf("%s", r.appendJSON(nil))
		}
	})
}

func state(accounts ...Account) State {
	s := State{Accounts: map[uuid.UUID]Account{}, Now: time.Unix(100, 0)}
	for _, a := range accounts {
		a.Currency = "KES"
		if a.Status == "" {
			a.Status = Active
		}
		s.Accounts[a.ID] = a
	}
	return s
}

// TestRules checks both sides of each limit, on both normal sides.
func TestRules(t *testing.T) {
	t.Parallel()
	limit := func(n int64) *int64 { return &n }
	wallet := Account{ID: alice, NormalSide: Credit, Credits: 100, Minimum: limit(0), Maximum: limit(150)}
	loan := Account{ID: alice, NormalSide: Debit, Debits: 100, Minimum: limit(0), Maximum: limit(150)}
	other := Account{ID: bob, NormalSide: Credit}
	full := Account{ID: bob, NormalSide: Credit, Credits: MaxAmount}
	above := Account{ID: alice, NormalSide: Credit, Credits: 200, Minimum: limit(0), Maximum: limit(150)}
	for name, c := range map[string]struct {
		first, second Account
		posting       Posting
		code          string
	}{
		"to the minimum":             {wallet, other, posting(alice, bob, 100), ""},
		"below the minimum":          {wallet, other, posting(alice, bob, 101), "insufficient_funds"},
		"to the maximum":             {wallet, other, posting(bob, alice, 50), ""},
		"above the maximum":          {wallet, other, posting(bob, alice, 51), "over_maximum"},
		"debit side: to the minimum": {loan, other, posting(bob, alice, 100), ""},
		"debit side: below minimum":  {loan, other, posting(bob, alice, 101), "insufficient_funds"},
		"debit side: to the maximum": {loan, other, posting(alice, bob, 50), ""},
		"debit side: above maximum":  {loan, other, posting(alice, bob, 51), "over_maximum"},
		"overflow":                   {wallet, full, posting(alice, bob, 1), "balance_overflow"},
		"above already, falling":     {above, other, posting(alice, bob, 1), ""},
		"above already, rising":      {above, other, posting(bob, alice, 1), "over_maximum"},
		"unknown account":            {wallet, other, posting(alice, bank, 1), "account_not_found"},
		"another currency":           {wallet, other, Posting{alice, bob, 1, "UGX"}, "currency_mismatch"},
		"frozen account is paid":     {Account{ID: alice, NormalSide: Credit, Status: Frozen}, other, posting(bob, alice, 1), ""},
		"frozen account pays": {Account{ID: alice, NormalSide: Credit, Status: Frozen, Credits: 9}, other, posting(alice, bob, 1),
			"account_frozen"},
		"debit side: frozen is repaid": {Account{ID: alice, NormalSide: Debit, Status: Frozen, Debits: 9}, other, posting(bob, alice, 1),
			"account_frozen"},
		"closed account": {Account{ID: alice, NormalSide: Credit, Status: Closed}, other, posting(bob, alice, 1), "account_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Decide(state(c.first, c.second),
				[]Request{{TransactionID: bank, Reference: "r", Body: Body{Action: ActionPost, Postings: []Posting{c.posting}}}})
			if d.Outcomes[0].Code != c.code {
				t.Fatalf("code %q, want %q", d.Outcomes[0].Code, c.code)
			}
			if written := len(d.Transactions) + len(d.Accounts) + len(d.NewHolds); c.code != "" && written > 0 {
				t.Errorf("a refusal writes %d rows", written)
			}
		})
	}
}

// TestRulesLookAtTheWhole: the rules hold for what a transaction leaves, not between its postings.
func TestRulesLookAtTheWhole(t *testing.T) {
	t.Parallel()
	limit := int64(0)
	s := state(Account{ID: alice, NormalSide: Credit, Minimum: &limit}, Account{ID: bob, NormalSide: Credit})
	d := Decide(s, []Request{{TransactionID: bank, Reference: "r",
		Body: Body{Action: ActionPost, Postings: []Posting{posting(alice, bob, 5), posting(bob, alice, 20)}}}})
	if d.Outcomes[0].Status != Posted || d.Transactions[0].Postings[0].SourceBalance != -5 ||
		d.Transactions[0].Postings[1].DestinationBalance != 15 {
		t.Errorf("%+v", d)
	}
}

func TestPendingCreditsReserveAnAsset(t *testing.T) {
	t.Parallel()
	limit := int64(0)
	s := state(Account{ID: alice, NormalSide: Credit, Credits: 100}, Account{ID: bank, NormalSide: Debit, Debits: 50, Minimum: &limit})
	hold := func(id uuid.UUID, amount int64) Request {
		return Request{TransactionID: id, Reference: id.String(),
			Body: Body{Action: ActionHold, Postings: []Posting{posting(alice, bank, amount)}}}
	}
	d := Decide(s, []Request{hold(alice, 40), hold(bob, 11)})
	if d.Outcomes[0].Status != Posted || d.Outcomes[1].Code != "insufficient_funds" {
		t.Errorf("payouts above the float of the rail: %+v", d.Outcomes)
	}
}

func TestResolveAccount(t *testing.T) {
	t.Parallel()
	if ResolveAccount(alice.String()) != alice || ResolveAccount("rail.mpesa.paybill.KES") != bank ||
		ResolveAccount(strings.Repeat("x", 36)) != SystemAccountID(strings.Repeat("x", 36)) {
		t.Error("a reference to an account resolves to another one")
	}
}

// TestOverMaximumAfterALowerOne: after a lower tier only what comes in is held, not what was there.
func TestOverMaximumAfterALowerOne(t *testing.T) {
	t.Parallel()
	minimum, maximum := int64(0), int64(150)
	s := state(Account{ID: alice, NormalSide: Credit, Credits: 200, Minimum: &minimum, Maximum: &maximum},
		Account{ID: bob, NormalSide: Credit})
	d := Decide(s, []Request{{TransactionID: bank, Reference: "r",
		Body: Body{Action: ActionPost, OverMaximum: true, Postings: []Posting{posting(bob, alice, 10)}}}})
	if len(d.NewHolds) != 1 || d.NewHolds[0].Amount != 10 || d.Accounts[1].Available() != 200 {
		t.Errorf("%+v", d)
	}
}

// TestCaptureTakesFromMatchingLines: money captured to one destination no longer comes to it, and what is left goes along the other lines.
func TestCaptureTakesFromMatchingLines(t *testing.T) {
	t.Parallel()
	s := state(Account{ID: alice, NormalSide: Credit, Credits: 100}, Account{ID: bob, NormalSide: Credit},
		Account{ID: bank, NormalSide: Debit})
	on := func(action Action, reference string, postings ...Posting) Request {
		return Request{TransactionID: SystemAccountID(reference), Reference: reference,
			Body: Body{Action: action, HoldID: SystemAccountID("hold"), Postings: postings}}
	}
	hold := on(ActionHold, "hold", posting(alice, bob, 30), posting(alice, bank, 50))
	hold.HoldID = uuid.Nil
	d := Decide(s, []Request{hold, on(ActionCapture, "part", posting(alice, bank, 20)), on(ActionCapture, "rest")})
	var rest []Posting
	for _, p := range d.Transactions[2].Postings {
		rest = append(rest, p.Posting)
	}
	if len(rest) != 2 || rest[0] != posting(alice, bob, 30) || rest[1] != posting(alice, bank, 30) {
		t.Errorf("the rest goes %+v", rest)
	}
	for _, a := range d.Accounts {
		if a.PendingDebits != 0 || a.PendingCredits != 0 {
			t.Errorf("%+v still has something pending", a)
		}
	}
}
