package app_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/kit/web"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func claims(user uuid.UUID) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{Subject: "user:" + user.String(), Audience: jwt.ClaimStrings{"wallet"}}
}

// serve runs do inside a request that carries an identity and a delegation token.
func serve(t *testing.T, w *testworld.World, key []byte, token, delegation string, do func(ctx context.Context)) {
	t.Helper()
	h := auth.NewVerifier("wallet", w.Now,
		key).Middleware(web.WriteProblem)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(r.Context()) }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set(auth.IdentityHeader, token)
	r.Header.Set(auth.DelegationHeader, delegation)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("identity refused: %s", rec.Body)
	}
}

func TestVerifiedCustomerGetsAWallet(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	w.RunJobs()
	p := testworld.Person{UserID: uuid.Must(uuid.NewV7())}
	if wallets, err := w.App.ListWallets(testworld.As(t.Context(), p)); err != nil || len(wallets) != 0 {
		t.Fatalf("before: %v, %v", wallets, err)
	}
	w.Verify(p.UserID, 1, 1)
	w.Verify(p.UserID, 1, 1) // the same answer again
	servicetest.Eventually(t, "the wallet opens", func() bool {
		wallets, err := w.App.ListWallets(testworld.As(t.Context(), p))
		return err == nil && len(wallets) == 1 && wallets[0].Status == domain.WalletOpen && wallets[0].DepositAccount[0] == domain.AccountOfWallet
	})
	id := w.WalletOf(p.UserID, "KES")
	if got := w.Ledger.Maximum(id); got != 10000000 {
		t.Errorf("maximum is %d", got)
	}
	w.Verify(p.UserID, 2, 3)
	servicetest.Eventually(t, "the maximum follows the tier", func() bool { return w.Ledger.Maximum(id) == 50000000 })
	servicetest.Eventually(t, "the revision is told", told(w, id))
	if e := w.PublishedOf("wallet.opened"); len(e) != 1 {
		t.Errorf("events: %v", e)
	}
}

// told says whether the ledger's maximum follows what is known of a wallet's owner.
func told(w *testworld.World, wallet uuid.UUID) func() bool {
	return func() bool {
		return w.Count(`SELECT count(*) FROM wallets JOIN customers USING (user_id) WHERE id = $1 AND ledger_version = revision`, wallet) == 1
	}
}

// TestTierChangeDuringOpening proves that the ledger is told the newest tier although the job read an older one.
func TestTierChangeDuringOpening(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Verify(p.UserID, 2, 2)
	changed := false
	w.Ledger.Lose(func() bool {
		if !changed {
			changed = true
			w.Verify(p.UserID, 1, 3)
		}
		return false
	}, nil)
	if err := w.App.OpenAccount(t.Context(), p.WalletID); err != nil {
		t.Fatal(err)
	}
	w.RunJobs()
	servicetest.Eventually(t, "the newest tier is told", func() bool {
		return w.Ledger.Maximum(p.WalletID) == 10000000 && told(w, p.WalletID)()
	})
}

// TestNewStatusAllowsNothing: a status that a newer version of user knows, and this service does not, gives no right.
func TestNewStatusAllowsNothing(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Status(p.UserID, "under_review", 2, 2)
	if _, _, err := w.App.OpenWallet(testworld.As(t.Context(), p), key(), "USD"); !errors.Is(err, domain.ErrSuspended) {
		t.Errorf("a wallet of somebody under review: %v", err)
	}
}

func TestOpenWallet(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	ctx, k := testworld.As(t.Context(), p), key()
	opened, created, err := w.App.OpenWallet(ctx, k, "USD")
	if err != nil || !created || opened.Status != domain.WalletOpening || opened.DepositAccount != "" {
		t.Fatalf("got %+v, %v, %v", opened, created, err)
	}
	again, created, err := w.App.OpenWallet(ctx, k, "USD")
	if err != nil || !created || again.ID != opened.ID {
		t.Errorf("replay: %+v, %v, %v", again, created, err)
	}
	other, created, err := w.App.OpenWallet(ctx, key(), "USD")
	if err != nil || created || other.ID != opened.ID {
		t.Errorf("another key: %+v, %v, %v", other, created, err)
	}
	if _, _, err := w.App.OpenWallet(ctx, key(), "TZS"); !errors.Is(err, domain.ErrCurrency) {
		t.Errorf("a currency without a limit: %v", err)
	}
	if _, _, err := w.App.OpenWallet(testworld.As(t.Context(), testworld.Person{UserID: uuid.New()}), key(), "USD"); !errors.Is(err,
		domain.ErrKycRequired) {
		t.Errorf("without a verified identity: %v", err)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'wallet.requested'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
	if err := w.App.OpenAccount(t.Context(), opened.ID); err != nil || w.Ledger.Maximum(opened.ID) != 77000 {
		t.Errorf("account: %v, maximum %d", err, w.Ledger.Maximum(opened.ID))
	}
}

// TestHeldAboveMaximum is what GET of a wallet shows of the part that its maximum does not let go.
func TestHeldAboveMaximum(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 105_000)
	w.Ledger.Hold(p.WalletID, 500_000)
	ctx := testworld.As(t.Context(), p)
	if got, err := w.App.GetWallet(ctx, p.WalletID); err != nil || got.HeldAboveMaximumMinor != 500_000 {
		t.Errorf("got %+v, %v", got, err)
	}
	usd, _, err := w.App.OpenWallet(ctx, key(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger.Lose(func() bool { return true }, nil)
	if got, err := w.App.GetWallet(ctx, usd.ID); err != nil || got.HeldAboveMaximumMinor != 0 { // it has no account yet
		t.Errorf("a wallet that opens: %+v, %v", got, err)
	}
	if _, err := w.App.GetWallet(ctx, p.WalletID); err == nil {
		t.Error("a wallet is shown without asking the ledger")
	}
}

func TestQuoteRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to, low := w.Person(1, 1000), w.Person(1, 0), w.Person(1, 0)
	usd, _, err := w.App.OpenWallet(testworld.As(t.Context(), from), key(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	w.Verify(low.UserID, 0, 2)
	mine := func() app.QuoteInput {
		return app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone, Amount: testworld.KES(10)}
	}
	cases := map[string]struct {
		change func(in *app.QuoteInput)
		want   *fault.Error
	}{
		"ok":               {func(*app.QuoteInput) {}, nil},
		"by_wallet":        {func(in *app.QuoteInput) { in.RecipientPhone, in.RecipientWalletID = "", &to.WalletID }, nil},
		"both":             {func(in *app.QuoteInput) { in.RecipientWalletID = &to.WalletID }, domain.ErrRecipientAmbiguous},
		"neither":          {func(in *app.QuoteInput) { in.RecipientPhone = "" }, domain.ErrRecipientAmbiguous},
		"self_by_phone":    {func(in *app.QuoteInput) { in.RecipientPhone = from.Phone }, domain.ErrRecipientSelf},
		"self_by_wallet":   {func(in *app.QuoteInput) { in.RecipientPhone, in.RecipientWalletID = "", &usd.ID }, domain.ErrRecipientSelf},
		"stranger":         {func(in *app.QuoteInput) { in.RecipientPhone = "+254799999999" }, domain.ErrRecipientMissing},
		"not_my_wallet":    {func(in *app.QuoteInput) { in.WalletID = to.WalletID }, fault.ErrNotFound},
		"no_wallet":        {func(in *app.QuoteInput) { in.WalletID = uuid.New() }, fault.ErrNotFound},
		"currency":         {func(in *app.QuoteInput) { in.Amount.Currency = "USD" }, domain.ErrCurrencyMismatch},
		"not_open":         {func(in *app.QuoteInput) { in.WalletID, in.Amount.Currency = usd.ID, "USD" }, domain.ErrWalletNotOpen},
		"recipient_tier_0": {func(in *app.QuoteInput) { in.RecipientPhone = low.Phone }, domain.ErrRecipientCannot},
	}
	for name, c := range cases {
		in := mine()
		c.change(&in)
		q, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from), in)
		if (c.want == nil && err != nil) || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if name == "ok" && q.RecipientName != "Amina W." {
			t.Errorf("quote: %+v", q)
		}
	}
	w.Users.Down(true)
	if _, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from), mine()); err == nil || errors.Is(err, domain.ErrRecipientMissing) {
		t.Errorf("with user down: %v", err)
	}
}

func TestEstimateFee(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	partner := auth.With(t.Context(), auth.Principal{Subject: "partner:" + uuid.NewString(), Scopes: []string{"tariffs:read"}})
	for minor, want := range map[int64][2]int64{
		10000: {0, 0}, 10001: {700, 105}, 50000: {700, 105}, 50001: {1300, 195}, 100000: {1300, 195}, 150000: {2300, 345}, 250000: {3300, 495},
		350000: {5300, 795}, 500000: {5700, 855}, 750000: {7800, 1170}, 1000000: {9000, 1350}, 1500000: {10000, 1500}, 2000000: {10500, 1575},
		25000000: {10800, 1620},
	} {
		p, err := w.App.EstimateFee(partner, domain.KindTransfer, "", money.Money{Amount: minor, Currency: "KES"})
		if err != nil || p.Fee.Amount != want[0] || p.Excise.Amount != want[1] {
			t.Errorf("%d: %+v, %v", minor, p, err)
		}
	}
	if _, err := w.App.EstimateFee(partner, domain.KindTransfer, "", money.Money{Amount: 25000001, Currency: "KES"}); !errors.Is(err,
		domain.ErrNoPrice) {
		t.Errorf("above the tariff: %v", err)
	}
}

// TestServiceCannotChangeItsRules proves the grants: prices and limits come from migrations only.
func TestServiceCannotChangeItsRules(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	for _, stmt := range []string{
		"INSERT INTO taxes VALUES ('KE', 'excise', 0, now())", "UPDATE limits SET per_day_minor = 0", "DELETE FROM tariffs",
		"UPDATE transfers SET amount_minor = 1", "DELETE FROM receipts", "UPDATE receipts SET receipt = 'x'", "DELETE FROM callbacks",
	} {
		if _, err := w.DB.Pool.Exec(t.Context(), stmt); err == nil {
			t.Errorf("%s: allowed", stmt)
		}
	}
	w.Tx(func(ctx context.Context, tx pgx.Tx) error { return w.App.Measure(ctx) })
	if err := w.App.Sweep(t.Context()); err != nil {
		t.Errorf("sweep: %v", err)
	}
}

// TestSweep deletes everything that is overdue, more than one statement takes, and nothing that is needed: a live quote, one that was
// spent, a fresh approval.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 1000), w.Person(1, 0)
	spent, live := w.Quote(from, to, 10), w.Quote(from, to, 10)
	ctx := w.Approve(testworld.As(t.Context(), from), spent.ID)
	if _, err := w.App.CreateTransfer(ctx, app.TransferInput{Key: key(), QuoteID: spent.ID}); err != nil {
		t.Fatal(err)
	}
	for _, stmt := range []string{
		`INSERT INTO transfer_quotes SELECT gen_random_uuid(), user_id, wallet_id, recipient_user_id, recipient_wallet_id, recipient_name_sealed,
			currency, amount_minor, fee_minor, excise_minor, created_at, $2::timestamptz - interval '48 hours'
			FROM transfer_quotes, generate_series(1, 1100) WHERE id = $1`,
		`INSERT INTO step_ups SELECT gen_random_uuid()::text, $1, $2::timestamptz - interval '48 hours' FROM generate_series(1, 2100)`,
		`INSERT INTO prompted_phones (phone_index, recent, declined, updated_at)
			SELECT decode(md5(i || $1::text), 'hex'), '{}', 0, $2::timestamptz - interval '32 days' FROM generate_series(1, 1100) i`,
	} {
		if _, err := w.DB.Pool.Exec(t.Context(), stmt, live.ID, w.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.App.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if q, s, p := w.Count("SELECT count(*) FROM transfer_quotes"), w.Count("SELECT count(*) FROM step_ups"),
		w.Count("SELECT count(*) FROM prompted_phones"); q != 2 || s != 1 || p != 0 {
		t.Errorf("%d quotes, %d approvals, %d numbers are left", q, s, p)
	}
	w.Advance(48 * time.Hour)
	if err := w.App.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if q := w.Text("SELECT string_agg(id::text, ' ') FROM transfer_quotes"); q != spent.ID.String() {
		t.Errorf("quotes left: %s", q)
	}
}
