package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const ours = "ws_CO_1"

// prompted is a top-up of KES 100 in a state, whose prompt has the id ours.
func prompted(status domain.TopupStatus, receipt string) *domain.Topup {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return &domain.Topup{ID: uuid.New(), WalletID: uuid.New(), UserID: uuid.New(), Amount: kes(100_00), AccountReference: "T1", Status: status,
		CheckoutRequestID: ours, Receipt: receipt, PromptedAt: &at}
}

// paidResult is the success of that prompt, as it was asked.
func paidResult(receipt string, minor int64) domain.StkResult {
	return domain.StkResult{Paid: true, Confirmed: true, CheckoutRequestID: ours, Receipt: receipt, Amount: kes(minor)}
}

// steps names what a judgement does.
func steps(j domain.Judgement) string {
	out := string(j.Verdict)
	add := func(does bool, name string) {
		if does {
			out += " " + name
		}
	}
	add(j.NotYet, "not_yet")
	add(j.BookTopup != nil, "book")
	add(j.NewDeposit, "deposit")
	add(j.NewDeposit && j.Owner == nil, "of_nobody")
	add(j.EndClaims, "end_claims")
	add(j.Topup != nil && j.Event != "", "move:"+string(j.Event))
	add(j.Topup != nil && j.Event == "", "save")
	add(j.Topup != nil && j.Topup.Receipt != "", "receipt:"+receiptOf(j))
	add(j.Claim, "claim")
	add(j.Ask != nil, "ask")
	add(j.PromptedAt != nil, "timed")
	return out
}

func receiptOf(j domain.Judgement) string {
	if j.Topup == nil {
		return ""
	}
	return j.Topup.Receipt
}

// about is what is known when a message about a top-up is judged; its receipt is in the normal form already.
func about(status domain.TopupStatus, receipt string, taken *domain.Taken) domain.Known {
	return domain.Known{Topup: prompted(status, receipt), Booked: receipt, Taken: taken}
}

func TestJudgeStk(t *testing.T) {
	t.Parallel()
	declined, paid := domain.StkResult{Failed: true, CheckoutRequestID: ours}, paidResult("R1", 100_00)
	doubted := paidResult("R1", 100_00)
	doubted.Confirmed = false
	other := uuid.New()
	ofOther, ofDeposit := &domain.Taken{TopupID: &other, AmountMinor: 100_00}, &domain.Taken{AmountMinor: 100_00}
	own := prompted(domain.TopupUnknown, "")
	tied := &domain.Taken{TopupID: &own.ID, AmountMinor: 100_00}
	for name, c := range map[string]struct {
		k    domain.Known
		r    domain.StkResult
		want string
	}{
		"no_topup":             {domain.Known{}, paidResult("R1", 100_00), "unknown_topup"},
		"never_asked":          {about(domain.TopupStored, "", nil), paidResult("R1", 100_00), "not_requested"},
		"another_prompt":       {about(domain.TopupPrompted, "", nil), domain.StkResult{Paid: true, CheckoutRequestID: "x"}, "checkout_mismatch"},
		"nothing":              {about(domain.TopupPrompted, "", nil), domain.StkResult{CheckoutRequestID: ours}, "no_result"},
		"declined":             {about(domain.TopupPrompted, "", nil), declined, "applied move:declined"},
		"declined_again":       {about(domain.TopupFailed, "", nil), declined, "duplicate"},
		"declined_when_paid":   {about(domain.TopupPaid, "R1", nil), declined, "conflict"},
		"not_confirmed":        {about(domain.TopupUnknown, "", nil), doubted, "refuted"},
		"other_amount":         {about(domain.TopupPrompted, "", nil), paidResult("R1", 90_00), "amount_mismatch book ask"},
		"other_amount_taken":   {about(domain.TopupPrompted, "", ofOther), paidResult("R1", 90_00), "amount_mismatch ask"},
		"other_amount_known":   {about(domain.TopupPaid, "R9", nil), paidResult("R1", 90_00), "amount_mismatch ask"},
		"other_amount_garbled": {about(domain.TopupPrompted, "", nil), paidResult("r 1", 90_00), "amount_mismatch ask"},
		"garbled":              {about(domain.TopupPrompted, "", nil), paidResult("r 1", 100_00), "unreadable ask"},
		"paid":                 {about(domain.TopupPrompted, "", nil), paid, "applied book end_claims move:paid receipt:R1 timed"},
		"paid_after_a_no":      {about(domain.TopupFailed, "", nil), paid, "applied book end_claims move:paid receipt:R1 timed"},
		"paid_by_query":        {about(domain.TopupPaid, "", nil), paid, "applied book end_claims save receipt:R1 timed"},
		"tied_to_it":           {domain.Known{Topup: own, Taken: tied}, paid, "applied end_claims move:paid receipt:R1 timed"},
		"again":                {about(domain.TopupPaid, "R1", ofOther), paidResult("R1", 100_00), "duplicate timed"},
		"second_receipt":       {about(domain.TopupPaid, "R9", nil), paidResult("R1", 100_00), "unverified claim timed"},
		"second_receipt_taken": {about(domain.TopupPaid, "R9", ofDeposit), paidResult("R1", 100_00), "conflict timed"},
		"of_another_topup":     {about(domain.TopupPrompted, "", ofOther), paidResult("R1", 100_00), "conflict timed"},
		"of_a_deposit":         {about(domain.TopupPrompted, "", ofDeposit), paidResult("R1", 100_00), "conflict save receipt:R1 timed"},
		"of_a_deposit_paid":    {about(domain.TopupPaid, "", ofDeposit), paidResult("R1", 100_00), "conflict timed"},
	} {
		before := domain.Topup{}
		if c.k.Topup != nil {
			before = *c.k.Topup
		}
		if got := steps(domain.JudgeStk(c.k, c.r)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.k.Topup != nil && *c.k.Topup != before {
			t.Errorf("%s: the judgement changed what is known", name)
		}
	}
	lost := prompted(domain.TopupUnknown, "")
	lost.CheckoutRequestID = ""
	for _, r := range []domain.StkResult{paidResult("R1", 100_00), {Failed: true, CheckoutRequestID: ours}} {
		if j := domain.JudgeStk(domain.Known{Topup: lost}, r); j.Topup == nil || j.Topup.CheckoutRequestID != ours {
			t.Errorf("the prompt's id is not kept: %+v", j)
		}
	}
}

func TestJudgeStranger(t *testing.T) {
	t.Parallel()
	open, paid := about(domain.TopupPrompted, "", nil), about(domain.TopupPaid, "R9", nil)
	taken := open
	taken.Taken = &domain.Taken{AmountMinor: 100_00}
	for name, c := range map[string]struct {
		k    domain.Known
		r    domain.StkResult
		want string
	}{
		"no_topup":       {domain.Known{}, paidResult("R1", 100_00), "unknown_topup"},
		"another_prompt": {open, domain.StkResult{Paid: true, CheckoutRequestID: "x"}, "checkout_mismatch"},
		"paid":           {open, paidResult("R1", 100_00), "unverified claim ask"},
		"paid_again":     {paid, paidResult("R1", 100_00), "unverified claim"},
		"taken":          {taken, paidResult("R1", 100_00), "duplicate ask"},
		"taken_unlike":   {taken, paidResult("R1", 90_00), "conflict ask"},
		"garbled":        {open, paidResult("r 1", 100_00), "unreadable ask"},
		"declined":       {open, domain.StkResult{Failed: true, CheckoutRequestID: ours}, "unverified ask"},
		"declined_late":  {paid, domain.StkResult{Failed: true, CheckoutRequestID: ours}, "unverified"},
	} {
		if got := steps(domain.JudgeStranger(c.k, c.r)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestJudgeConfirmation(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	waited := domain.QueryWindow + time.Minute
	other, owner := uuid.New(), &domain.Owner{WalletID: uuid.New(), UserID: uuid.New()}
	confirmed := func(minor int64, source string) domain.Payment {
		return domain.Payment{Receipt: "R1", Amount: kes(minor), Account: "T1", Source: source}
	}
	known := func(t *domain.Topup, taken *domain.Taken, age time.Duration) domain.Known {
		return domain.Known{Topup: t, Taken: taken, Now: now, ReceivedAt: now.Add(-age)}
	}
	open, byQuery, done := prompted(domain.TopupPrompted, ""), prompted(domain.TopupPaid, ""), prompted(domain.TopupPaid, "R9")
	never := prompted(domain.TopupStored, "")
	ofIt, ofOther := &domain.Taken{TopupID: &open.ID, AmountMinor: 100_00}, &domain.Taken{TopupID: &other, AmountMinor: 100_00}
	for name, c := range map[string]struct {
		k    domain.Known
		p    domain.Payment
		want string
	}{
		"of_nobody":             {known(nil, nil, 0), confirmed(100_00, domain.SourceC2b), "suspense deposit of_nobody end_claims"},
		"of_a_wallet":           {domain.Known{Owner: owner}, confirmed(100_00, domain.SourceC2b), "deposit deposit end_claims"},
		"again":                 {known(nil, &domain.Taken{AmountMinor: 100_00}, 0), confirmed(100_00, domain.SourceC2b), "duplicate end_claims"},
		"again_unlike":          {known(nil, &domain.Taken{AmountMinor: 90_00}, 0), confirmed(100_00, domain.SourceC2b), "conflict"},
		"of_a_topup":            {known(open, nil, 0), confirmed(100_00, domain.SourceC2b), "applied book end_claims move:paid receipt:R1"},
		"of_a_topup_by_query":   {known(byQuery, nil, 0), confirmed(100_00, domain.SourceC2b), "applied book end_claims save receipt:R1"},
		"tied_to_a_topup":       {known(open, ofIt, 0), confirmed(100_00, domain.SourceC2b), "applied end_claims move:paid receipt:R1"},
		"taken_from_a_topup":    {known(open, ofOther, 0), confirmed(100_00, domain.SourceC2b), "duplicate end_claims"},
		"second_of_a_topup":     {known(done, nil, 0), confirmed(100_00, domain.SourceC2b), "deposit deposit end_claims"},
		"never_asked":           {known(never, nil, 0), confirmed(90_00, domain.SourceC2b), "deposit deposit end_claims"},
		"contradicts_too_early": {known(open, nil, waited-time.Second), confirmed(90_00, domain.SourceC2b), " not_yet"},
		"contradicts":           {known(open, nil, waited), confirmed(90_00, domain.SourceC2b), "unverified claim"},
		"contradicts_paid":      {known(byQuery, nil, 0), confirmed(90_00, domain.SourceC2b), "unverified claim"},
		"contradicts_in_books":  {known(open, nil, 0), confirmed(90_00, domain.SourcePull), "deposit deposit end_claims"},
	} {
		j := domain.JudgeConfirmation(c.k, c.p)
		if got := steps(j); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if j.NewDeposit && c.k.Topup != nil && (j.Owner == nil || j.Owner.WalletID != c.k.Topup.WalletID || j.Owner.UserID != c.k.Topup.UserID) {
			t.Errorf("%s: the deposit is of %+v", name, j.Owner)
		}
	}
	if j := domain.JudgePayment(known(open, nil, waited), confirmed(90_00, domain.SourceC2b)); steps(j) != "amount_mismatch" {
		t.Errorf("a contradiction is %s", steps(j))
	}
}

// TestJudgementMovesMoneyOnce: whatever is known, no judgement books a receipt that is taken, books it twice, pays another amount than was
// asked for, or does anything with a claim.
func TestJudgementMovesMoneyOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		status := rapid.SampledFrom([]domain.TopupStatus{domain.TopupStored, domain.TopupRequested, domain.TopupPrompted, domain.TopupPaid,
			domain.TopupFailed, domain.TopupExpired, domain.TopupUnknown}).Draw(r, "status")
		receipt := rapid.SampledFrom([]string{"", "R1", "R9"}).Draw(r, "receipt of the top-up")
		k := domain.Known{Now: time.Unix(rapid.Int64Range(0, 600).Draw(r, "now"), 0), ReceivedAt: time.Unix(0, 0)}
		if rapid.Bool().Draw(r, "a top-up") {
			k.Topup, k.Booked = prompted(status, receipt), receipt
		}
		if rapid.Bool().Draw(r, "taken") {
			k.Taken = &domain.Taken{AmountMinor: rapid.Int64Range(99_00, 101_00).Draw(r, "taken amount")}
			if k.Topup != nil && rapid.Bool().Draw(r, "by it") {
				k.Taken.TopupID = &k.Topup.ID
			}
		}
		minor := rapid.SampledFrom([]int64{90_00, 100_00}).Draw(r, "amount")
		res := paidResult("R1", minor)
		res.Confirmed, res.Failed = rapid.Bool().Draw(r, "confirmed"), rapid.Bool().Draw(r, "failed")
		source := rapid.SampledFrom([]string{domain.SourceC2b, domain.SourcePull}).Draw(r, "source")
		p := domain.Payment{Receipt: "R1", Amount: kes(minor), Source: source}
		for name, j := range map[string]domain.Judgement{"stk": domain.JudgeStk(k, res), "stranger": domain.JudgeStranger(k, res),
			"claim": domain.JudgeClaim(k, p), "confirmation": domain.JudgeConfirmation(k, p), "payment": domain.JudgePayment(k, p)} {
			pays := j.Event == domain.EventPaid
			switch {
			case (j.BookTopup != nil || j.NewDeposit) && k.Taken != nil:
				r.Errorf("%s books a receipt that is taken: %s", name, steps(j))
			case j.BookTopup != nil && j.NewDeposit, pays && j.NewDeposit:
				r.Errorf("%s books twice: %s", name, steps(j))
			case pays && (minor != 100_00 || k.Topup.Receipt != "" || j.Topup.Receipt != "R1"):
				r.Errorf("%s pays: %s", name, steps(j))
			case (j.Claim || j.NotYet || name == "stranger" || name == "claim") && (pays || j.NewDeposit || j.BookTopup != nil || j.Topup != nil):
				r.Errorf("%s moves something: %s", name, steps(j))
			}
		}
	})
}

func TestHarmless(t *testing.T) {
	t.Parallel()
	for v, want := range map[domain.Verdict]bool{domain.VerdictApplied: true, domain.VerdictDuplicate: true, domain.VerdictNoResult: true,
		domain.VerdictDeposit: true, domain.VerdictSuspense: false, domain.VerdictConflict: false, domain.VerdictUnverified: false,
		"of_tomorrow": false} {
		if v.Harmless() != want {
			t.Errorf("%s: harmless %v", v, !want)
		}
	}
}
