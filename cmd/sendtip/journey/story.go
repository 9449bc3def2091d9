package journey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sendtip/sendtip/providers/safaricom"
	"github.com/sendtip/sendtip/sandbox/control"
)

// story is the walk of two customers.
type story struct {
	World
	amina, brian *Customer
	admins       Admins
	officer      *Customer
	finance      [2]*Customer
	rails        withdrawals
}

// Amounts in minor units. A fee of KES 7.00 for KES 101 to 500, and 15% excise on it, stand in the seeded tariff.
const (
	topUp  = 1000_00
	sent   = 250_00
	fee    = 7_00
	excise = 1_05
)

func (s *story) beginning() []step {
	return []step{
		{"a customer registers: code by SMS, PIN, first session", func(ctx context.Context) (string, error) {
			var err error
			if s.amina, err = s.NewCustomer("Amina"); err != nil {
				return "", err
			}
			if err := s.Register(ctx, s.amina); err != nil {
				return "", err
			}
			return "", s.amina.SetEmail(ctx)
		}},
		{"she cannot move money before her identity is checked", s.noMoneyBeforeKYC},
		{"she submits her national ID and Smile ID confirms it", func(ctx context.Context) (string, error) {
			status, err := s.amina.SubmitKYC(ctx, newID())
			if err == nil && status != "verified" {
				err = fmt.Errorf("the check ended as %s", status)
			}
			return status, err
		}},
		{"her wallet opens by itself", func(ctx context.Context) (string, error) { return "", s.amina.WaitWallet(ctx) }},
		{"an SMS and an e-mail say so", s.welcomed},
		{"she tops up " + safaricom.Currency + " 1,000.00; the phone pays; the callback credits the wallet", s.topsUp},
		{"an SMS receipt arrives", func(ctx context.Context) (string, error) {
			m, err := s.sms(ctx, s.amina, "1,000.00")
			return m.Text, err
		}},
		{"a second customer joins", func(ctx context.Context) (string, error) {
			var err error
			if s.brian, err = s.NewCustomer("Brian"); err != nil {
				return "", err
			}
			return "", s.Join(ctx, s.brian)
		}},
		{"she asks for a quote, confirms with her PIN and sends " + safaricom.Currency + " 250.00", s.sends},
		{"both get an SMS", func(ctx context.Context) (string, error) {
			if _, err := s.sms(ctx, s.amina, "250.00", "7.00", "1.05"); err != nil {
				return "", err
			}
			m, err := s.sms(ctx, s.brian, "250.00")
			return m.Text, err
		}},
		{"her statement shows each movement", s.statement},
		{"she deposits " + safaricom.Currency + " 320.00 by card on Paystack's page, and an SMS says so",
			func(ctx context.Context) (string, error) {
				return s.deposits(ctx, 320_00, "page", "320.00")
			}},
		{"she deposits " + safaricom.Currency + " 130.00 by a prompt of Paystack's on her phone", func(ctx context.Context) (string, error) {
			return s.deposits(ctx, 130_00, "mpesa", "130.00")
		}},
		{"she asks him for " + safaricom.Currency + " 50.00, and he pays", s.asks},
		{"she withdraws " + safaricom.Currency + " 100.00 to M-Pesa, and an SMS says so", s.withdraws},
		{"a withdrawal whose result M-Pesa loses is under way", s.loses},
		{"the ledger sums to zero", s.CheckLedger},
	}
}

func (s *story) failures() []step {
	return []step{
		{"a prompt that is cancelled moves nothing", s.cancelled},
		{"the same key sent 20 times at once gives one transfer", s.twenty},
		{"insufficient funds are refused", func(ctx context.Context) (string, error) { return s.refused(ctx, 50_000_00, "insufficient_funds") }},
		{"an amount over the tier's limit is refused", func(ctx context.Context) (string, error) { return s.refused(ctx, 80_000_00, "limit") }},
		{"a callback that comes twice credits once", func(ctx context.Context) (string, error) {
			return s.oddTopUp(ctx, 100_00, control.Script{STK: "pay", Callback: "duplicate", C2B: control.Bool(false)})
		}},
		{"a payment followed by a C2B confirmation of the same money credits once", func(ctx context.Context) (string, error) {
			return s.oddTopUp(ctx, 110_00, control.Script{STK: "pay", Callback: "c2b_after"})
		}},
		{"a callback that never comes is settled by the status query", func(ctx context.Context) (string, error) {
			return s.oddTopUp(ctx, 120_00, control.Script{STK: "pay", Callback: "lose", C2B: control.Bool(false)})
		}},
		{"a forged confirmation moves nothing; a genuine one after it counts", s.forged},
		{"strangers who know her number keep her out of nothing", s.besieged},
		{"another customer's token opens nothing of hers", s.foreign},
		{"a request that the contract forbids is refused", s.forbidden},
		{"a request without a token is refused", func(ctx context.Context) (string, error) {
			nobody, err := s.NewCustomer("Nobody")
			if err != nil {
				return "", err
			}
			status, c, err := nobody.Raw(ctx, "GET", "/v1/wallets", "", nil)
			return expect(status, c, err, 401, "unauthenticated")
		}},
		{"the withdrawal without a result was asked about, and is paid", s.finds},
		{"the ledger still sums to zero", s.CheckLedger},
	}
}

func (s *story) noMoneyBeforeKYC(ctx context.Context) (string, error) {
	resp, err := s.amina.Wallet.ListWalletsWithResponse(ctx)
	if err != nil {
		return "", err
	}
	if resp.JSON200 == nil || len(resp.JSON200.Data) != 0 {
		return "", fmt.Errorf("she has a wallet already: %d", resp.StatusCode())
	}
	status, c, err := s.amina.Raw(ctx, "POST", "/v1/topups",
		`{"wallet_id":"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e","amount":{"amount":10000,"currency":"`+safaricom.Currency+`"}}`,
		map[string]string{"Idempotency-Key": newKey()})
	if err != nil || status < 400 || status >= 500 {
		return "", fmt.Errorf("answer %d %s %w", status, c, err)
	}
	return "", nil
}

func (s *story) welcomed(ctx context.Context) (string, error) {
	if _, err := s.sms(ctx, s.amina, "wallet"); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	mail, err := s.Sandbox.WaitMail(ctx, func(m control.Mail) bool { return strings.EqualFold(strings.Join(m.To, ","), s.amina.Email) })
	return mail.Subject, err
}

func (s *story) topsUp(ctx context.Context) (string, error) {
	if err := s.Sandbox.QueueScript(ctx, s.amina.Phone, control.Script{STK: "pay"}); err != nil {
		return "", err
	}
	id, err := s.amina.TopUp(ctx, topUp)
	if err != nil {
		return "", err
	}
	done, err := s.amina.WaitTopUp(ctx, id, "paid", "failed", "expired")
	if err != nil {
		return "", err
	}
	balance, err := s.amina.Balance(ctx)
	if err == nil && (done.Status != "paid" || balance != topUp) {
		err = fmt.Errorf("top-up %s, balance %s", done.Status, kes(balance))
	}
	return "balance " + kes(balance), err
}

func (s *story) sends(ctx context.Context) (string, error) {
	t, err := s.amina.Send(ctx, s.brian, sent)
	if err != nil {
		return "", err
	}
	if t.Status != "completed" || t.Fee.Amount != fee || t.Excise.Amount != excise {
		return "", fmt.Errorf("transfer %s, fee %s, excise %s", t.Status, kes(t.Fee.Amount), kes(t.Excise.Amount))
	}
	hers, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	his, err := s.brian.Balance(ctx)
	if err == nil && (hers != topUp-sent-fee-excise || his != sent) {
		err = fmt.Errorf("balances %s and %s", kes(hers), kes(his))
	}
	return fmt.Sprintf("fee %s, excise %s, balances %s and %s", kes(fee), kes(excise), kes(hers), kes(his)), err
}

func (s *story) statement(ctx context.Context) (string, error) {
	entries, err := s.amina.Statement(ctx)
	if err != nil {
		return "", err
	}
	if len(entries) != 4 { // top-up, transfer, fee, excise
		return "", fmt.Errorf("%d entries", len(entries))
	}
	return fmt.Sprintf("%d entries, newest balance %s", len(entries), kes(entries[0].BalanceAfter.Amount)), nil
}

func (s *story) cancelled(ctx context.Context) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	if err := s.Sandbox.QueueScript(ctx, s.amina.Phone, control.Script{STK: "cancel"}); err != nil {
		return "", err
	}
	id, err := s.amina.TopUp(ctx, 90_00)
	if err != nil {
		return "", err
	}
	t, err := s.amina.WaitTopUp(ctx, id, "failed")
	if err != nil {
		return "", err
	}
	after, err := s.amina.Balance(ctx)
	if err == nil && after != before {
		err = errors.New("the balance changed")
	}
	if t.FailureCode != nil {
		return *t.FailureCode, err
	}
	return "", err
}

func (s *story) twenty(ctx context.Context) (string, error) {
	before, err := s.brian.Balance(ctx)
	if err != nil {
		return "", err
	}
	quote, err := s.amina.Quote(ctx, s.brian, 50_00)
	if err != nil {
		return "", err
	}
	if quote.JSON201 == nil {
		return "", refusal(quote.StatusCode(), quote.Body)
	}
	approval, err := s.amina.StepUp(ctx, quote.JSON201.ID)
	if err != nil {
		return "", err
	}
	key := newKey()
	var mu sync.Mutex
	ids, busy := map[string]int{}, 0
	var all []error
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			resp, err := s.amina.Transfer(ctx, quote.JSON201.ID, approval, key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				all = append(all, err)
			case resp.JSON201 != nil:
				ids[resp.JSON201.ID.String()]++
			case resp.JSON202 != nil:
				ids[resp.JSON202.ID.String()]++
			case resp.StatusCode() == 409:
				busy++
			default:
				all = append(all, refusal(resp.StatusCode(), resp.Body))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(all...); err != nil {
		return "", err
	}
	again, err := s.amina.Transfer(ctx, quote.JSON201.ID, approval, key)
	if err != nil {
		return "", err
	}
	after, err := s.brian.Balance(ctx)
	if err == nil && (len(ids) != 1 || again.JSON201 == nil || ids[again.JSON201.ID.String()] == 0 || after-before != 50_00) {
		err = fmt.Errorf("%d transfers, repeated answer %d, %s arrived", len(ids), again.StatusCode(), kes(after-before))
	}
	return fmt.Sprintf("one transfer; %d told to wait", busy), err
}

// refused sends an amount that must be refused with a code that contains want, at the quote or at the transfer, and changes nothing.
func (s *story) refused(ctx context.Context, minor int64, want string) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	_, err = s.amina.Send(ctx, s.brian, minor)
	if err == nil || !strings.Contains(err.Error(), want) {
		return "", fmt.Errorf("want a refusal with %s, got %w", want, err)
	}
	note := err.Error()
	after, err := s.amina.Balance(ctx)
	if err == nil && after != before {
		err = errors.New("the balance changed")
	}
	return note, err
}

// oddTopUp pays a prompt while the provider misbehaves, and expects the money exactly once.
func (s *story) oddTopUp(ctx context.Context, minor int64, script control.Script) (string, error) {
	before, err := s.amina.Balance(ctx)
	if err != nil {
		return "", err
	}
	if err := s.Sandbox.QueueScript(ctx, s.amina.Phone, script); err != nil {
		return "", err
	}
	id, err := s.amina.TopUp(ctx, minor)
	if err != nil {
		return "", err
	}
	if _, err := s.amina.WaitTopUp(ctx, id, "paid"); err != nil {
		return "", err
	}
	if script.Callback != "lose" { // every copy has arrived before the balance is judged
		if err := s.copiesArrived(ctx, script); err != nil {
			return "", err
		}
	}
	after, err := s.amina.Balance(ctx)
	if err == nil && after-before != minor {
		err = fmt.Errorf("%s were credited", kes(after-before))
	}
	return kes(after-before) + " credited", err
}

func (s *story) copiesArrived(ctx context.Context, script control.Script) error {
	kind := "stk"
	if script.Callback == "c2b_after" {
		kind = "c2b_confirmation"
	}
	statement, err := s.Sandbox.Statement(ctx)
	if err != nil {
		return err
	}
	last := statement.Data[len(statement.Data)-1]
	for _, e := range statement.Data {
		if e.Msisdn == s.amina.Phone && e.At.After(last.At) {
			last = e
		}
	}
	want := 1
	if kind == "stk" {
		want = 2
	}
	return until(ctx, "the second message about the payment", func() (bool, error) {
		deliveries, err := s.Sandbox.Deliveries(ctx)
		n := 0
		for _, d := range deliveries {
			if d.Kind == kind && (d.ID == last.Receipt || d.ID == last.CheckoutRequestID) && d.Status == 200 {
				n++
			}
		}
		return n >= want, err
	})
}

func (s *story) foreign(ctx context.Context) (string, error) {
	for _, path := range []string{"/v1/wallets/", "/v1/accounts/"} {
		suffix := ""
		if path == "/v1/accounts/" {
			suffix = "/balance"
		}
		status, c, err := s.brian.Raw(ctx, "GET", path+s.amina.WalletID.String()+suffix, "", nil)
		if note, err := expect(status, c, err, 404, "not_found"); err != nil {
			return note, err
		}
	}
	return "", nil
}

func (s *story) forbidden(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]any{"wallet_id": s.amina.WalletID,
		"amount": map[string]any{"amount": 10000, "currency": safaricom.Currency}})
	if err != nil {
		return "", err
	}
	good := string(body)
	for what, bad := range map[string]string{
		"an unknown field": strings.Replace(good, "{", `{"surprise":1,`, 1), "a fraction": strings.Replace(good, "10000", "10000.0", 1),
		"a negative amount": strings.Replace(good, "10000", "-10000", 1),
		"a field twice":     strings.Replace(good, "{", `{"phone":"+1","phone":"+2",`, 1),
		"half a body":       good[:len(good)/2], "two bodies": good + good,
	} {
		status, c, err := s.amina.Raw(ctx, "POST", "/v1/topups", bad, map[string]string{"Idempotency-Key": newKey()})
		if err != nil || status != 400 {
			return "", fmt.Errorf("%s: answer %d %s %w", what, status, c, err)
		}
	}
	status, c, err := s.amina.Raw(ctx, "POST", "/v1/topups", good, nil)
	if err != nil || status != 400 {
		return "", fmt.Errorf("no Idempotency-Key: answer %d %s %w", status, c, err)
	}
	return "7 kinds refused", nil
}

func expect(status int, c string, err error, wantStatus int, wantCode string) (string, error) {
	if err == nil && (status != wantStatus || c != wantCode) {
		err = fmt.Errorf("answer %d %s, want %d %s", status, c, wantStatus, wantCode)
	}
	return "", err
}
