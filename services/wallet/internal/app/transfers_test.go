package app_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func key() string { return uuid.NewString() }

// noTrace fails when a refusal left anything behind.
func noTrace(t *testing.T, w *testworld.World) {
	t.Helper()
	for _, table := range []string{"transfers", "step_ups", "limit_reservations", "limit_usage", "idempotency_keys",
		"outbox WHERE topic = 'sendtip.wallet.v1' AND payload::text LIKE '%transfer%'"} {
		if n := w.Count("SELECT count(*) FROM " + table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.post_transfer'"); n != 0 {
		t.Errorf("%d jobs", n)
	}
	if n := w.Ledger.Posts(); n != 0 {
		t.Errorf("%d postings", n)
	}
}

func TestCreateTransferCompletes(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	ctx := w.Approve(testworld.As(t.Context(), from), q.ID)
	in := app.TransferInput{Key: key(), QuoteID: q.ID, Note: "rent", ClientReference: "app-1"}
	done, err := w.App.CreateTransfer(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if done.Status != domain.TransferCompleted || done.LedgerTransactionID == nil || done.ClosedAt == nil {
		t.Fatalf("transfer is %+v", done)
	}
	// 1,000 KES cost 13, and 15 % of that is 1.95.
	for account, want := range map[string]int64{from.WalletID.String(): 500000 - 101495, to.WalletID.String(): 100000,
		"fees.revenue.KES": 1300, "excise.payable.KES": 195} {
		if got := w.Ledger.Balance(account); got != want {
			t.Errorf("balance of %s is %d, want %d", account, got, want)
		}
	}
	if got := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.post_transfer'"); got != 0 {
		t.Errorf("%d jobs are left", got)
	}
	if got := w.Text("SELECT status FROM limit_reservations WHERE id = $1", done.ID); got != "committed" {
		t.Errorf("reservation is %s", got)
	}
	if e := w.PublishedOf("wallet.transfer_completed"); len(e) != 1 || e[0]["transfer_id"] != done.ID.String() {
		t.Errorf("events: %v", e)
	}
	if got := w.Count("SELECT count(*) FROM audit_log WHERE action = 'transfer.created' AND object_id = $1", done.ID.String()); got != 1 {
		t.Errorf("%d audit rows", got)
	}
	t.Run("repeated", func(t *testing.T) { repeated(ctx, t, w, in, done) })
	t.Run("read", func(t *testing.T) { readBack(t, w, from, to, done) })
}

func repeated(ctx context.Context, t *testing.T, w *testworld.World, in app.TransferInput, first domain.Transfer) {
	posts := w.Ledger.Posts()
	w.Advance(10 * time.Minute) // quote and approval have ended meanwhile: a replay needs neither
	again, err := w.App.CreateTransfer(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID != first.ID || again.Status != first.Status || again.Note != first.Note || again.RecipientName != first.RecipientName {
		t.Errorf("replay is %+v", again)
	}
	if w.Ledger.Posts() != posts {
		t.Error("the replay posted again")
	}
	in.Note = "another"
	if _, err := w.App.CreateTransfer(ctx, in); !errors.Is(err, idem.ErrKeyReused) {
		t.Errorf("another body under the key: %v", err)
	}
}

func readBack(t *testing.T, w *testworld.World, from, to testworld.Person, done domain.Transfer) {
	got, err := w.App.GetTransfer(testworld.As(t.Context(), from), done.ID)
	if err != nil || got.Note != "rent" || got.RecipientName != "Amina W." {
		t.Errorf("transfer %+v, %v", got, err)
	}
	if _, err := w.App.GetTransfer(testworld.As(t.Context(), to), done.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("another customer reads it: %v", err)
	}
	for reference, want := range map[string]int{"": 1, "app-1": 1, "app-2": 0} {
		list, next, err := w.App.ListTransfers(testworld.As(t.Context(), from), reference, page.Request{})
		if err != nil || len(list) != want || next != nil {
			t.Errorf("list %q: %d rows, %v, %v", reference, len(list), next, err)
		}
	}
	if sealed := w.Count("SELECT count(*) FROM transfers WHERE encode(note_sealed, 'escape') LIKE '%rent%'"); sealed != 0 {
		t.Error("the note is readable at rest")
	}
}

func TestCreateTransferRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(w *testworld.World, from, to testworld.Person, q domain.Quote, ctx context.Context) context.Context
		want   *fault.Error
	}{
		"not_mine": {func(w *testworld.World, _, to testworld.Person, q domain.Quote, ctx context.Context) context.Context {
			return w.Approve(testworld.As(ctx, to), q.ID)
		}, domain.ErrQuoteNotFound},
		"not_approved": {func(_ *testworld.World, from, _ testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			return testworld.As(ctx, from)
		}, domain.ErrStepUpMissing},
		"approved_for_another": {func(w *testworld.World, _, _ testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			return w.Approve(ctx, uuid.New())
		}, domain.ErrStepUpMismatch},
		"approval_expired": {func(_ *testworld.World, _, _ testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			p := auth.From(ctx)
			p.StepUp.ExpiresAt = p.StepUp.ExpiresAt.Add(-5 * time.Minute)
			return auth.With(ctx, p)
		}, domain.ErrStepUpExpired},
		"quote_expired": {func(w *testworld.World, _, _ testworld.Person, q domain.Quote, ctx context.Context) context.Context {
			w.Advance(domain.QuoteLife)
			return w.Approve(ctx, q.ID)
		}, domain.ErrQuoteExpired},
		"sender_suspended": {func(w *testworld.World, from, _ testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			w.Status(from.UserID, "suspended", 1, 2)
			return ctx
		}, domain.ErrSuspended},
		"recipient_suspended": {func(w *testworld.World, _, to testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			w.Status(to.UserID, "suspended", 1, 2)
			return ctx
		}, domain.ErrRecipientCannot},
		"sender_tier_gone": {func(w *testworld.World, from, _ testworld.Person, _ domain.Quote, ctx context.Context) context.Context {
			w.Verify(from.UserID, 0, 2)
			return ctx
		}, domain.ErrKycRequired},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			from, to := w.Person(1, 5000), w.Person(1, 0)
			q := w.Quote(from, to, 1000)
			ctx := c.change(w, from, to, q, w.Approve(testworld.As(t.Context(), from), q.ID))
			if _, err := w.App.CreateTransfer(ctx, app.TransferInput{Key: key(), QuoteID: q.ID}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			noTrace(t, w)
		})
	}
}

func TestCreateTransferRefusedByLedger(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		ledger string
		want   *fault.Error
	}{
		"insufficient_funds": {"insufficient_funds", domain.ErrInsufficientFunds},
		"recipient_limit":    {"over_maximum", domain.ErrRecipientLimit},
		"frozen":             {"account_frozen", domain.ErrWalletFrozen},
		"other":              {"account_closed", domain.ErrTransferRefused},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			from, to := w.Person(1, 5000), w.Person(1, 0)
			q := w.Quote(from, to, 1000)
			ctx, in := w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID}
			w.Ledger.Refuse(c.ledger)
			failed, err := w.App.CreateTransfer(ctx, in)
			if !errors.Is(err, c.want) || failed.Status != domain.TransferFailed {
				t.Fatalf("got %+v, %v", failed, err)
			}
			w.Ledger.Refuse("")
			if _, err := w.App.CreateTransfer(ctx, in); !errors.Is(err, c.want) {
				t.Errorf("the replay is %v", err)
			}
			if got := w.Text("SELECT failure_code FROM transfers WHERE id = $1", failed.ID); got != c.want.Code {
				t.Errorf("failure code is %s", got)
			}
			if got := w.Count("SELECT sum(amount_minor) FROM limit_usage"); got != 0 {
				t.Errorf("%d of the limit stays used", got)
			}
			if e := w.PublishedOf("wallet.transfer_failed"); len(e) != 1 || e[0]["reason_code"] != c.want.Code {
				t.Errorf("events: %v", e)
			}
			if _, err := w.App.CreateTransfer(w.Approve(ctx, q.ID), app.TransferInput{Key: key(), QuoteID: q.ID}); !errors.Is(err,
				domain.ErrQuoteSpent) {
				t.Errorf("the quote is not spent: %v", err)
			}
		})
	}
}

// TestCreateTransferAnswerLost covers both sides of a lost answer: the ledger has posted, or it has not. Either way the caller is told
// pending, and the job ends it under the same reference with the same body.
func TestCreateTransferAnswerLost(t *testing.T) {
	t.Parallel()
	for name, afterPosting := range map[string]bool{"before_posting": false, "after_posting": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			from, to := w.Person(1, 5000), w.Person(1, 0)
			q := w.Quote(from, to, 1000)
			ctx, in := w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID}
			lost := func() bool { return true }
			if afterPosting {
				w.Ledger.Lose(nil, lost)
			} else {
				w.Ledger.Lose(lost, nil)
			}
			pending, err := w.App.CreateTransfer(ctx, in)
			if err != nil || pending.Status != domain.TransferCreated {
				t.Fatalf("got %+v, %v", pending, err)
			}
			_, err = w.App.CreateTransfer(ctx, in)
			if f, ok := fault.As(err); !ok || !errors.Is(err, idem.ErrInProgress) || f.Location != "/v1/transfers/"+pending.ID.String() {
				t.Errorf("the twin got %v", err)
			}
			if err := w.App.SettleTransfer(t.Context(), pending.ID); !jobs.IsUnknown(err) {
				t.Errorf("the job without an answer: %v", err)
			}
			w.Ledger.Lose(nil, nil)
			if err := w.App.SettleTransfer(t.Context(), pending.ID); err != nil {
				t.Fatal(err)
			}
			if err := w.App.SettleTransfer(t.Context(), pending.ID); err != nil { // once more changes nothing
				t.Fatal(err)
			}
			if got := w.Ledger.References(); len(got) != 1 || got[pending.ID.String()+":post"] != "posted" {
				t.Errorf("references: %v", got)
			}
			if got := w.Ledger.Balance(to.WalletID.String()); got != 100000 {
				t.Errorf("the recipient has %d", got)
			}
			replay, err := w.App.CreateTransfer(ctx, in)
			if err != nil || replay.Status != domain.TransferCompleted || replay.ID != pending.ID {
				t.Errorf("replay %+v, %v", replay, err)
			}
			if e := w.PublishedOf("wallet.transfer_completed"); len(e) != 1 {
				t.Errorf("events: %v", e)
			}
		})
	}
}

// TestCloseFails is money that has moved while our own last step cannot be written: the caller is told pending, never failed.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	blocker, err := w.DB.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger.Lose(nil, func() bool { // after the posting somebody holds the row for longer than anybody waits
		if _, err := blocker.Exec(t.Context(), "SELECT FROM transfers FOR UPDATE"); err != nil {
			t.Errorf("lock: %v", err)
		}
		return false
	})
	pending, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
	if err != nil || pending.Status != domain.TransferCreated {
		t.Fatalf("got %+v, %v", pending, err)
	}
	w.Ledger.Lose(nil, nil)
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.App.SettleTransfer(t.Context(), pending.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.Text("SELECT status FROM transfers WHERE id = $1", pending.ID); got != domain.TransferCompleted ||
		w.Ledger.Balance(to.WalletID.String()) != 100000 {
		t.Errorf("transfer is %s", got)
	}
}

// TestReusedReferenceIsNoOutcome: the ledger says that the reference has another body. That tells nothing about the first one.
func TestReusedReferenceIsNoOutcome(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	w.Ledger.Refuse("reference_reused")
	pending, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
	if err != nil || pending.Status != domain.TransferCreated {
		t.Fatalf("got %+v, %v", pending, err)
	}
	if err := w.App.SettleTransfer(t.Context(), pending.ID); !jobs.IsUnknown(err) {
		t.Errorf("the job: %v", err)
	}
}

// TestPendingTransferIsSettledByItsJob lets River do what the other tests call by hand.
func TestPendingTransferIsSettledByItsJob(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	w.Ledger.Lose(nil, func() bool { return true })
	pending, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger.Lose(nil, nil)
	w.Advance(31 * time.Second) // the job stands 30 s ahead
	w.RunJobs()
	servicetest.Eventually(t, "the transfer completes", func() bool {
		return w.Text("SELECT status FROM transfers WHERE id = $1", pending.ID) == domain.TransferCompleted
	})
}

func TestCreateTransferOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	ctx, hangUp := context.WithCancel(w.Approve(testworld.As(t.Context(), from), q.ID))
	w.Ledger.Lose(func() bool { hangUp(); return false }, nil)
	done, err := w.App.CreateTransfer(ctx, app.TransferInput{Key: key(), QuoteID: q.ID})
	if err != nil || done.Status != domain.TransferCompleted {
		t.Errorf("got %+v, %v", done, err)
	}
}

// TestInlineCallIsOnBehalf proves that the request hands its delegation token on, and the job does not have one.
func TestInlineCallIsOnBehalf(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	q := w.Quote(from, to, 1000)
	before := len(w.Ledger.Behalf())
	identity := []byte("0123456789abcdef0123456789abcdef")
	token, err := auth.Mint(identity, w.Now(), auth.Claims{RegisteredClaims: claims(from.UserID)})
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger.Lose(nil, func() bool { return true })
	var pending domain.Transfer
	serve(t, w, identity, token, "delegated", func(ctx context.Context) {
		p := auth.From(ctx)
		p.StepUp = &auth.StepUp{JTI: key(), Hash: domain.ApprovalHash(q.ID), ExpiresAt: w.Now().Add(time.Minute)}
		pending, err = w.App.CreateTransfer(auth.With(ctx, p), app.TransferInput{Key: key(), QuoteID: q.ID})
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Ledger.Lose(nil, nil)
	if err := w.App.SettleTransfer(t.Context(), pending.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.Ledger.Behalf()[before:]; len(got) != 2 || got[0] != "delegated" || got[1] != "" {
		t.Errorf("delegation tokens: %q", got)
	}
}

func TestCreateTransferConcurrently(t *testing.T) {
	t.Parallel()
	t.Run("same_key", func(t *testing.T) {
		t.Parallel()
		w := testworld.New(t)
		from, to := w.Person(1, 5000), w.Person(1, 0)
		q := w.Quote(from, to, 1000)
		ctx, in := w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID}
		var done atomic.Int32
		together(20, func(int) {
			got, err := w.App.CreateTransfer(ctx, in)
			switch {
			case err == nil && got.Status == domain.TransferCompleted:
				done.Add(1)
			case !errors.Is(err, idem.ErrInProgress):
				t.Errorf("got %v, %v", got.Status, err)
			}
		})
		if done.Load() == 0 || w.Ledger.Balance(to.WalletID.String()) != 100000 || w.Count("SELECT count(*) FROM transfers") != 1 {
			t.Errorf("%d answers, recipient has %d", done.Load(), w.Ledger.Balance(to.WalletID.String()))
		}
	})
	t.Run("same_quote", func(t *testing.T) {
		t.Parallel()
		w := testworld.New(t)
		from, to := w.Person(1, 5000), w.Person(1, 0)
		q := w.Quote(from, to, 1000)
		var done, spent atomic.Int32
		together(20, func(int) {
			_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, domain.ErrQuoteSpent):
				spent.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
		if done.Load() != 1 || spent.Load() != 19 || w.Ledger.Balance(to.WalletID.String()) != 100000 {
			t.Errorf("%d done, %d spent", done.Load(), spent.Load())
		}
	})
	t.Run("limit_edge", func(t *testing.T) {
		t.Parallel()
		w := testworld.New(t)
		from, to := w.Person(1, 900000), w.Person(2, 0)
		quotes := make([]domain.Quote, 100)
		for i := range quotes {
			quotes[i] = w.Quote(from, to, 20000) // 7 x 20,000 are the 140,000 of a day
		}
		var done, over atomic.Int32
		together(len(quotes), func(i int) {
			_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), quotes[i].ID),
				app.TransferInput{Key: key(), QuoteID: quotes[i].ID})
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, domain.ErrLimitDay):
				over.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
		used := w.Count("SELECT amount_minor FROM limit_usage WHERE span = 'day'")
		if done.Load() != 7 || over.Load() != 93 || used != 14000000 || w.Ledger.Balance(to.WalletID.String()) != 14000000 {
			t.Errorf("%d done, %d over, %d used", done.Load(), over.Load(), used)
		}
	})
}

func together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func TestStepUpIsSpentOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	first := w.Quote(from, to, 1000)
	ctx := w.Approve(testworld.As(t.Context(), from), first.ID)
	if _, err := w.App.CreateTransfer(ctx, app.TransferInput{Key: key(), QuoteID: first.ID}); err != nil {
		t.Fatal(err)
	}
	// The same token id under the hash of another quote: the gateway would not make it, and its use stays single all the same.
	second := w.Quote(from, to, 1000)
	p := auth.From(ctx)
	p.StepUp = &auth.StepUp{JTI: p.StepUp.JTI, Hash: domain.ApprovalHash(second.ID), ExpiresAt: p.StepUp.ExpiresAt}
	if _, err := w.App.CreateTransfer(auth.With(ctx, p), app.TransferInput{Key: key(), QuoteID: second.ID}); !errors.Is(err,
		domain.ErrStepUpUsed) {
		t.Errorf("got %v", err)
	}
}

func TestLimitsOfDayAndMonth(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 9000000), w.Person(2, 0)
	pay := func(shillings int64) error {
		q := w.Quote(from, to, shillings)
		_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
		return err
	}
	for _, shillings := range []int64{70000, 69999, 1} {
		if err := pay(shillings); err != nil {
			t.Fatalf("%d: %v", shillings, err)
		}
	}
	if err := pay(1); !errors.Is(err, domain.ErrLimitDay) {
		t.Errorf("above the day: %v", err)
	}
	_, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from),
		app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone, Amount: testworld.KES(70001)})
	if !errors.Is(err, domain.ErrLimitTransaction) {
		t.Errorf("above a payment: %v", err)
	}
	limits, err := w.App.GetLimits(testworld.As(t.Context(), from))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range limits.Limits {
		if l.Kind == domain.KindTransfer && l.Currency == "KES" {
			found = l.Used.Day == 14000000 && l.Used.Month == 14000000 && l.PerDay == 14000000
		}
	}
	if !found || limits.Customer.Tier != 1 {
		t.Errorf("limits: %+v", limits)
	}
	if _, err := w.DB.Pool.Exec(t.Context(),
		"UPDATE limit_usage SET amount_minor = CASE span WHEN 'day' THEN 0 ELSE 140000000 - 100 END"); err != nil {
		t.Fatal(err)
	}
	if err := pay(1); err != nil {
		t.Errorf("at the edge of the month: %v", err)
	}
	if err := pay(1); !errors.Is(err, domain.ErrLimitMonth) {
		t.Errorf("above the month: %v", err)
	}
}
