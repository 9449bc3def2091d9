package domain_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

func kes(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }

func TestTransferLedgerRequest(t *testing.T) {
	t.Parallel()
	tr := domain.Transfer{ID: uuid.New(), WalletID: uuid.New(), RecipientWalletID: uuid.New(),
		Price: domain.Price{Amount: kes(100), Fee: kes(13), Excise: kes(2)}}
	r := tr.LedgerRequest()
	if r.Reference != tr.ID.String()+":post" || len(r.Postings) != 3 || r.HoldOverMaximum || r.Postings[1].Destination != "fees.revenue.KES" ||
		r.Postings[2].Destination != "excise.payable.KES" {
		t.Errorf("request %+v", r)
	}
	for _, p := range r.Postings {
		if p.Source != tr.WalletID.String() {
			t.Errorf("posting %+v", p)
		}
	}
	tr.Fee, tr.Excise = kes(0), kes(0)
	if r := tr.LedgerRequest(); len(r.Postings) != 1 {
		t.Errorf("a posting of nothing: %+v", r)
	}
}

// TestNormalizeAccount: what people type finds the account, and no letter or digit of the alphabet is taken for another.
func TestNormalizeAccount(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"w018 234\u200babc-de": "WOIB234ABCDE", " #WZ79.": "WZ79", "@[`{/:\u2011é": "", "": "",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"} {
		if got := domain.NormalizeAccount(typed); got != want {
			t.Errorf("%q is %q, want %q", typed, got, want)
		}
	}
}

func TestTransferRefusal(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{"insufficient_funds": domain.ErrInsufficientFunds, "over_maximum": domain.ErrRecipientLimit,
		"balance_overflow": domain.ErrRecipientLimit, "account_frozen": domain.ErrWalletFrozen,
		"books_differ": domain.ErrTransferRefused, "anything": domain.ErrTransferRefused} {
		if got := domain.TransferRefusal(code); !errors.Is(got, want) {
			t.Errorf("%s: %v", code, got)
		}
	}
}

// TestSuspends: what the wallet can never take goes to suspense, and nothing that may have another end.
func TestSuspends(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"account_closed": true, "account_not_found": true, "currency_mismatch": true, "books_differ": true,
		"balance_overflow": true, "over_maximum": true, "account_frozen": true, "insufficient_funds": false, "batch_refused": false, "": false} {
		if domain.GoesToSuspense(code) != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
}

func TestPayInLedgerRequest(t *testing.T) {
	t.Parallel()
	tp := domain.Topup{ID: uuid.New(), WalletID: uuid.New(), Amount: kes(100)}
	if r := tp.LedgerRequest(false); r.Reference != tp.ID.String()+":credit" || !r.HoldOverMaximum ||
		r.Postings[0].Source != "rail.mpesa.paybill.KES" ||
		r.Postings[0].Destination != tp.WalletID.String() {
		t.Errorf("credit %+v", r)
	}
	if r := tp.LedgerRequest(true); r.Reference != tp.ID.String()+":suspense" || r.HoldOverMaximum ||
		r.Postings[0].Destination != "suspense.KES" {
		t.Errorf("suspense %+v", r)
	}
	wallet := uuid.New()
	d := domain.Deposit{ID: uuid.New(), Receipt: "R1", WalletID: &wallet, Amount: kes(5)}
	if r := d.LedgerRequest(false); r.Reference != "c2b:R1" || r.Postings[0].Destination != wallet.String() {
		t.Errorf("deposit %+v", r)
	}
	d.WalletID = nil
	if r := d.LedgerRequest(false); r.Reference != d.ID.String()+":suspense" || r.Postings[0].Destination != "suspense.KES" {
		t.Errorf("deposit of nobody %+v", r)
	}
}

var events = []domain.TopupEvent{domain.EventSend, domain.EventAccepted, domain.EventRefused, domain.EventLost, domain.EventPaid,
	domain.EventDeclined, domain.EventSilent}

// TestTopupMachine names every legal transition; every other pair must change nothing.
func TestTopupMachine(t *testing.T) {
	t.Parallel()
	type step struct {
		from domain.TopupStatus
		on   domain.TopupEvent
	}
	legal := map[step]domain.TopupStatus{
		{"stored", "send"}: "requested", {"stored", "refused"}: "failed",
		{"requested", "accepted"}: "prompted", {"requested", "refused"}: "failed", {"requested", "lost"}: "unknown",
		{"requested", "paid"}: "paid", {"requested", "declined"}: "failed",
		{"prompted", "paid"}: "paid", {"prompted", "declined"}: "failed", {"prompted", "silent"}: "expired", {"prompted", "lost"}: "unknown",
		{"unknown", "paid"}: "paid", {"unknown", "declined"}: "failed", {"unknown", "silent"}: "expired",
		{"failed", "paid"}: "paid", {"expired", "paid"}: "paid",
	}
	for _, from := range []domain.TopupStatus{"stored", "requested", "prompted", "paid", "failed", "expired", "unknown"} {
		for _, on := range events {
			before := domain.Topup{Status: from, FailureCode: "x"}
			after, share, moved := before.Apply(on, "y", day1)
			want, ok := legal[step{from, on}]
			if moved != ok || (ok && after.Status != want) || (!ok && (after != before || share != domain.ShareKept)) {
				t.Errorf("%s on %s: %s, moved %v", from, on, after.Status, moved)
			}
			if (after.FailureCode == "y") != (ok && (want == "failed" || want == "expired")) {
				t.Errorf("%s on %s: failure %q", from, on, after.FailureCode)
			}
		}
	}
}

// TestTopupMachineProperties plays random events: money becomes due once and stays so, the limit is committed exactly when it does, and is
// never released twice in a row.
func TestTopupMachineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tp := domain.Topup{Status: domain.TopupStored, Credit: domain.CreditNone}
		commits, held := 0, true
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			was := tp
			var share domain.Share
			var moved bool
			tp, share, moved = tp.Apply(rapid.SampledFrom(events).Draw(t, "event"), "f", day1)
			if was.Status == domain.TopupPaid && moved {
				t.Fatal("paid is the end")
			}
			switch share {
			case domain.ShareCommitted:
				commits++
				held = true
			case domain.ShareReleased:
				if !held {
					t.Fatal("released twice")
				}
				held = false
			}
			if (tp.Credit == domain.CreditDue) != (tp.Status == domain.TopupPaid) || (commits == 1) != (tp.Status == domain.TopupPaid) ||
				commits > 1 {
				t.Fatalf("%+v after %d commits", tp, commits)
			}
			if dead := tp.Status == domain.TopupFailed || tp.Status == domain.TopupExpired; dead == held {
				t.Fatalf("limit held %v in %s", held, tp.Status)
			}
		}
	})
}

func TestConfirmationRule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		t                  domain.Topup
		amount             int64
		takes, contradicts bool
	}{
		"unpaid":            {domain.Topup{Status: "prompted"}, 100, true, false},
		"failed":            {domain.Topup{Status: "failed"}, 100, true, false},
		"paid_by_query":     {domain.Topup{Status: "paid"}, 100, true, false},
		"has_receipt":       {domain.Topup{Status: "paid", Receipt: "R"}, 100, false, false},
		"never_sent":        {domain.Topup{Status: "stored"}, 100, false, false},
		"other_amount":      {domain.Topup{Status: "prompted"}, 101, false, true},
		"other_by_query":    {domain.Topup{Status: "paid"}, 101, false, true},
		"other_after_fail":  {domain.Topup{Status: "failed"}, 101, false, false},
		"other_has_receipt": {domain.Topup{Status: "paid", Receipt: "R"}, 101, false, false},
	} {
		c.t.Amount = kes(100)
		if c.t.TakesConfirmation(kes(c.amount)) != c.takes || c.t.Contradicts(kes(c.amount)) != c.contradicts {
			t.Errorf("%s", name)
		}
	}
}

func TestNextQuery(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{
		0: 15 * time.Second, 14 * time.Second: time.Second, 15 * time.Second: 10 * time.Second, 175 * time.Second: 5 * time.Second,
		3 * time.Minute: time.Minute, 15 * time.Minute: time.Hour, 24*time.Hour - 1: time.Hour, 24 * time.Hour: 0,
	} {
		if got, more := domain.NextQuery(age); got != want || more != (want > 0) {
			t.Errorf("%s: %s, %v", age, got, more)
		}
	}
}

func TestTopupChecks(t *testing.T) {
	t.Parallel()
	for minor, want := range map[int64]error{100: nil, 99: domain.ErrTopupAmount, 150: domain.ErrTopupAmount, 25000000: nil,
		25000100: domain.ErrTopupAmount} {
		if err := domain.CheckTopupAmount(kes(minor)); !errors.Is(err, want) {
			t.Errorf("%d: %v", minor, err)
		}
	}
	if err := domain.CheckTopupAmount(money.Money{Amount: 100, Currency: "USD"}); !errors.Is(err, domain.ErrTopupCurrency) {
		t.Errorf("dollars: %v", err)
	}
	for phone, ok := range map[string]bool{"+254712345678": true, "+254112345678": true, "+254212345678": false, "+25471234567": false,
		"+256712345678": false} {
		if (domain.CheckTopupPhone(phone) == nil) != ok {
			t.Errorf("%s", phone)
		}
	}
	for code, want := range map[string]string{"1": "insufficient_mpesa_funds", "1032": "cancelled_by_customer", "1037": "no_answer",
		"2001": "wrong_pin",
		"4":    "mpesa_limit", "17": "try_later", "SFC_IC0003": "declined_by_mpesa"} {
		if got := domain.FailureOf(code); got != want {
			t.Errorf("%s: %s", code, got)
		}
	}
}

func TestAccountNumber(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^T[A-Z2-7]{11}$`)
	rapid.Check(t, func(t *rapid.T) {
		var random [domain.AccountNumberBytes]byte
		copy(random[:], rapid.SliceOfN(rapid.Byte(), len(random), len(random)).Draw(t, "random"))
		if n := domain.AccountNumber(domain.AccountOfTopup, random); !pattern.MatchString(n) {
			t.Fatalf("%s", n)
		}
	})
}

func TestCustomerRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		c            domain.Customer
		pay, receive error
	}{
		"active":    {domain.Customer{Status: "active", Tier: 1}, nil, nil},
		"tier_0":    {domain.Customer{Status: "active"}, domain.ErrKycRequired, domain.ErrRecipientCannot},
		"suspended": {domain.Customer{Status: "suspended", Tier: 2}, domain.ErrSuspended, domain.ErrRecipientCannot},
	} {
		if !errors.Is(c.c.MayPay(), c.pay) || !errors.Is(c.c.MayReceive(), c.receive) {
			t.Errorf("%s: %v, %v", name, c.c.MayPay(), c.c.MayReceive())
		}
	}
	if domain.HomeCurrency("KE") != "KES" || domain.HomeCurrency("XX") != "" {
		t.Error("home currency")
	}
	// sha256("quote_id=00000000-0000-0000-0000-000000000000") in base64url, computed elsewhere.
	if got := domain.ApprovalHash(uuid.Nil); got != approvalOfNil {
		t.Errorf("approval hash %s", got)
	}
}

const approvalOfNil = "YMgbvSNDumRJNVWcpR_AY0Zb9UbKaYuiankCCwH2omk"
