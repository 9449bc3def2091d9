package sandbox

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
)

const nominatedNumber = "254708374149"

// openBooks registers the short code for Pull Transactions.
func (b *bench) openBooks(t *testing.T) {
	t.Helper()
	if err := b.mpesa.RegisterPull(limit(t), nominatedNumber, b.hooks+"/v1/hooks/c2/confirm"); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) pay(t *testing.T, account string, minor int64) control.Entry {
	t.Helper()
	paid, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: phone, Account: account, AmountMinor: minor})
	if err != nil {
		t.Fatal(err)
	}
	return paid
}

// clock is a sandbox's time, moved by the test.
type clock struct{ at atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.at.Store(at.UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }
func (c *clock) config(cfg *Config)   { cfg.Now = c.now; cfg.TokenLife = 1000 * time.Hour }

// TestPullTransactions: the books show what was paid, whatever was told about it, for two days.
func TestPullTransactions(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 20, 22, 30, 0, 0, time.UTC)
	c := newClock(start)
	b := setup(t, c.config)
	b.register(t)
	b.openBooks(t)
	b.script(t, control.Script{STK: "pay", Callback: "alter"}) // what is told is ten times what was paid
	b.push(t)
	if told := b.nextSTK(t); told.AmountMinor != 15000_00 {
		t.Fatalf("told %d", told.AmountMinor)
	}
	b.nextC2B(t)
	c.move(30*time.Minute + 500*time.Millisecond)
	b.script(t, control.Script{Callback: "lose"}) // and nothing is told of this one
	byHand := b.pay(t, " wq7k-abcd", 250_00)
	if _, err := b.control.Forge(limit(t), control.Forgery{Msisdn: phone, Receipt: "FORGED1", Account: "X", AmountMinor: 1_00}); err != nil {
		t.Fatal(err)
	}
	statement, err := b.control.Statement(limit(t))
	if err != nil || len(statement.Data) != 2 {
		t.Fatalf("statement %+v, %v", statement, err)
	}
	all, err := b.mpesa.PullTransactions(limit(t), start.Add(-time.Hour), start.Add(time.Hour), 0)
	want := []daraja.PulledTransaction{
		{Receipt: statement.Data[0].Receipt, AmountMinor: 1500_00, BillRef: "TOPUP0000001", At: start, Type: "c2b-pay-bill-debit"},
		{Receipt: byHand.Receipt, AmountMinor: 250_00, BillRef: "wq7k-abcd", At: start.Add(30 * time.Minute), Type: "c2b-pay-bill-debit"},
	}
	if err != nil || len(all) != 2 || all[0] != want[0] || all[1] != want[1] {
		t.Errorf("books %+v, %v, want %+v", all, err, want)
	}
	// Both ends count, to the second.
	for name, c := range map[string]struct{ from, to time.Time }{
		"at its second": {byHand.At.Truncate(time.Second), byHand.At.Truncate(time.Second)},
		"late":          {byHand.At.Add(-time.Minute), byHand.At.Add(time.Hour)},
	} {
		if got, err := b.mpesa.PullTransactions(limit(t), c.from, c.to, 0); err != nil || len(got) != 1 || got[0] != want[1] {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := b.mpesa.PullTransactions(limit(t), start.Add(-time.Hour), start.Add(-time.Minute), 0); err != nil || len(got) != 0 {
		t.Errorf("before: %+v, %v", got, err)
	}
	c.move(47*time.Hour + 45*time.Minute) // the first is out of the window now
	if got, err := b.mpesa.PullTransactions(limit(t), start.Add(-time.Hour), start.Add(time.Hour), 0); err != nil || len(got) != 1 ||
		got[0] != want[1] {
		t.Errorf("two days later: %+v, %v", got, err)
	}
}

// TestPullPages reads by offset as the client does: each payment once, in order, and an empty page at the end.
func TestPullPages(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.openBooks(t)
	const payments = 230
	var receipts []string
	for range payments {
		receipts = append(receipts, b.pay(t, "WQ7KABCD", 1_00).Receipt)
	}
	var sizes []int
	for offset := 0; ; {
		page, err := b.mpesa.PullTransactions(limit(t), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), offset)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range page {
			if offset+i >= payments || row.Receipt != receipts[offset+i] {
				t.Fatalf("row %d is %s", offset+i, row.Receipt)
			}
		}
		sizes = append(sizes, len(page))
		if offset += len(page); len(page) == 0 {
			break
		}
	}
	if len(sizes) != 4 || sizes[0] != 100 || sizes[1] != 100 || sizes[2] != 30 {
		t.Errorf("pages of %v", sizes)
	}
	other := daraja.New(daraja.Config{BaseURL: b.url, ConsumerKey: DefaultConsumerKey, ConsumerSecret: DefaultConsumerSecret,
		ShortCode: "600000", Passkey: DefaultPasskey})
	if err := other.RegisterPull(limit(t), nominatedNumber, b.hooks+"/v1/hooks/c2/confirm"); err != nil {
		t.Fatal(err)
	}
	if got, err := other.PullTransactions(limit(t), time.Now().Add(-time.Hour), time.Now(), 0); err != nil || len(got) != 0 {
		t.Errorf("another short code sees %d payments, %v", len(got), err)
	}
}

func TestPullRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	query := func() map[string]any {
		return map[string]any{"ShortCode": "174379", "StartDate": "2026-11-20 10:00:00", "EndDate": "2026-11-20 11:00:00", "OffSetValue": "0"}
	}
	register := func() map[string]any {
		return map[string]any{"ShortCode": "174379", "RequestType": "Pull", "NominatedNumber": nominatedNumber,
			"CallBackURL": "http://127.0.0.1/x"}
	}
	if status, code, _ := b.raw(t, "/pulltransactions/v1/query", query()); status != 500 || code != "500.003.1001" {
		t.Errorf("before the registration: %d %s", status, code)
	}
	for field, values := range map[string][]any{
		"ShortCode": {"", "12", "x"}, "RequestType": {"", "pull", 1}, "NominatedNumber": {"", "25470837414", "1254708374149"},
		"CallBackURL": {"", "x", "http://127.0.0.1/query", "http://HOST/x"},
	} {
		for _, v := range values {
			body := register()
			body[field] = v
			if status, code, message := b.raw(t, "/pulltransactions/v1/register", body); status != 400 || code != "400.002.02" ||
				!strings.HasSuffix(message, "Invalid "+field) {
				t.Errorf("%s %v: %d %s %s", field, v, status, code, message)
			}
		}
	}
	b.openBooks(t)
	b.openBooks(t) // again is no error
	for field, values := range map[string][]any{
		"ShortCode": {"", "12"}, "StartDate": {"", "2026-11-20", "20261120100000", "2026-11-20T10:00:00Z"},
		"EndDate":     {"", "2026-13-20 11:00:00", "2026-11-20 09:59:59"},
		"OffSetValue": {"", "-1", "x", "1.5"},
	} {
		for _, v := range values {
			body := query()
			body[field] = v
			if status, code, message := b.raw(t, "/pulltransactions/v1/query", body); status != 400 || code != "400.002.02" ||
				!strings.HasSuffix(message, "Invalid "+field) {
				t.Errorf("%s %v: %d %s %s", field, v, status, code, message)
			}
		}
	}
	for _, path := range []string{"/pulltransactions/v1/register", "/pulltransactions/v1/query"} {
		body := register()
		for k, v := range query() {
			body[k] = v
		}
		body["ShortCode"] = "999999"
		if status, code, message := b.raw(t, path, body); status != 500 || code != "500.001.1001" || message != "Merchant does not exist" {
			t.Errorf("%s of an unknown short code: %d %s %s", path, status, code, message)
		}
		req, err := http.NewRequestWithContext(limit(t), http.MethodPost, b.url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if status := b.do(t, req, nil); status != http.StatusNotFound {
			t.Errorf("%s without a token: %d", path, status)
		}
	}
}

// TestForgeries: a confirmation of the caller's making comes from an address that is not M-Pesa's, to the registered address, and no
// payment stands behind it.
func TestForgeries(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if _, err := b.control.Forge(limit(t), control.Forgery{Msisdn: phone, Account: "WQ7KABCD", AmountMinor: 1_00}); err == nil {
		t.Error("there is no address yet, and a forgery was sent")
	}
	b.register(t)
	b.pay(t, "WQ7KABCD", 100_00)
	genuine := b.next(t)
	at := time.Date(2026, 11, 20, 22, 30, 0, 0, time.UTC)
	forged, err := b.control.Forge(limit(t),
		control.Forgery{Msisdn: phone, Receipt: "ab12cd34ef", Account: " wq7k", AmountMinor: 1234_56, At: &at})
	if err != nil || forged != (control.Forged{Receipt: "ab12cd34ef", Status: http.StatusOK}) {
		t.Fatalf("%+v, %v", forged, err)
	}
	told := b.next(t)
	c, err := daraja.ParseC2B(told.body)
	if err != nil || c.TransID != "AB12CD34EF" || c.AmountMinor != 1234_56 || c.BillRef != "wq7k" || c.ShortCode != DefaultShortCode ||
		!c.PaidAt.Equal(at) {
		t.Errorf("told %+v, %v", c, err)
	}
	if told.path != genuine.path || told.header.Get("Content-Type") != genuine.header.Get("Content-Type") {
		t.Errorf("a forgery goes to %s, the genuine one to %s", told.path, genuine.path)
	}
	if genuine.from != "127.0.0.2" || told.from == genuine.from {
		t.Errorf("the genuine one comes from %s, the forgery from %s", genuine.from, told.from)
	}
	if made, err := b.control.Forge(limit(t), control.Forgery{Msisdn: phone, Account: "WQ7KABCD", AmountMinor: 1_00}); err != nil ||
		len(made.Receipt) != 10 {
		t.Errorf("without a receipt: %+v, %v", made, err)
	}
	if s, err := b.control.Statement(limit(t)); err != nil || s.Count != 1 || s.TotalMinor != 100_00 {
		t.Errorf("statement %+v, %v", s, err)
	}
	for name, f := range map[string]control.Forgery{
		"amount": {Msisdn: phone, Account: "A"}, "account": {Msisdn: phone, Account: strings.Repeat("A", 21), AmountMinor: 1},
		"short code": {Msisdn: phone, ShortCode: "600000", Account: "A", AmountMinor: 1},
		"receipt":    {Msisdn: phone, Receipt: "a b", Account: "A", AmountMinor: 1},
		"phone":      {Msisdn: "+12025550123", Account: "A", AmountMinor: 1}, "no phone": {Account: "A", AmountMinor: 1},
	} {
		if got, err := b.control.Forge(limit(t), f); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRegistrationsOutliveARestart: the platform registers at its own start only.
func TestRegistrationsOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "sandbox")
	in := func(cfg *Config) { cfg.Dir = dir }
	first := setup(t, in)
	first.register(t)
	first.openBooks(t)
	if info, err := os.Stat(filepath.Join(dir, "registrations.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the addresses hold secrets: %v, %v", info, err)
	}
	second := setup(t, in)
	paid := second.pay(t, "WQ7KABCD", 100_00)
	if c := first.nextC2B(t); c.TransID != paid.Receipt { // the address is the first platform's
		t.Errorf("confirmed %+v", c)
	}
	if got, err := second.mpesa.PullTransactions(limit(t), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), 0); err != nil ||
		len(got) != 1 {
		t.Errorf("books %+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "registrations.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Environment: "development", Dir: dir}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}
