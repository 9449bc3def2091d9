package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	sealPhone    = "topup phone"
	sealCheckout = "topup checkout" // the id ends with nine digits of the payer's phone
)

// TopupInput asks for money from M-Pesa.
type TopupInput struct {
	Key      string `json:"-"` // Idempotency-Key
	WalletID uuid.UUID
	Amount   money.Money
	Phone    string // E.164; "" is the customer's own
}

// CreateTopup stores a top-up, reserves its limit, and leaves the prompt to a job.
func (a *App) CreateTopup(ctx context.Context, in TopupInput) (domain.Topup, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Topup{}, err
	}
	if err := domain.CheckTopupAmount(in.Amount); err != nil {
		return domain.Topup{}, err
	}
	if in.Phone != "" {
		if err := domain.CheckTopupPhone(in.Phone); err != nil {
			return domain.Topup{}, err
		}
	}
	key := idem.NewKey(ctx, "createTopup", in.Key, in)
	var t domain.Topup
	stored, err := a.idem.Find(ctx, a.Pool, key)
	if err != nil {
		return domain.Topup{}, err
	}
	if stored != nil {
		return t, stored.Decode(&t)
	}
	if err := a.Rails.Admit(ctx, a.Pool, domain.OperationStk); err != nil {
		return domain.Topup{}, err
	}
	facts, err := a.topupFacts(ctx, userID, in)
	if err != nil {
		return domain.Topup{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		stored, err := a.idem.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			return stored.Decode(&t)
		}
		if t, err = a.openTopup(ctx, tx, userID, in, facts); err != nil {
			return err
		}
		return a.idem.Finish(ctx, tx, key, 202, t)
	})
	return t, err
}

// topupFacts are what peers say about a top-up before it is opened.
type topupFacts struct {
	rules     domain.Rules
	roomMinor int64 // what the wallet can hold besides its balance
	others    bool  // the phone is not the customer's own
}

func (a *App) topupFacts(ctx context.Context, userID uuid.UUID, in TopupInput) (f topupFacts, err error) {
	if f.rules, err = a.rules(ctx); err != nil {
		return f, err
	}
	c, err := a.topupWallet(ctx, a.Pool, userID, in)
	if err != nil {
		return f, err
	}
	balance, err := a.balanceOf(ctx, in.WalletID)
	if err != nil {
		return f, err
	}
	maximum, _ := f.rules.MaximumBalance(c, in.Amount.Currency, a.Now())
	f.roomMinor = maximum - balance.BalanceMinor
	f.others, err = a.isOthersPhone(ctx, in)
	return f, err
}

// topupWallet checks that the customer may top up the wallet.
func (a *App) topupWallet(ctx context.Context, db walletdb.DBTX, userID uuid.UUID, in TopupInput) (domain.Customer, error) {
	w, err := a.q.GetWalletOwner(ctx, db, in.WalletID)
	switch {
	case pg.IsNoRows(err), err == nil && w.UserID != userID:
		return domain.Customer{}, fault.ErrNotFound
	case err != nil:
		return domain.Customer{}, fmt.Errorf("get wallet: %w", err)
	case w.Currency != in.Amount.Currency:
		return domain.Customer{}, domain.ErrCurrencyMismatch
	}
	if in.Phone == "" && w.Number != domain.NumberHeld {
		return domain.Customer{}, domain.ErrNoNumber
	}
	c := domain.Customer{UserID: userID, Status: w.CustomerStatus, Tier: w.Tier, Country: w.Country}
	if err := c.MayPay(); err != nil {
		return domain.Customer{}, err
	}
	if w.Status != domain.WalletOpen {
		return domain.Customer{}, domain.ErrWalletNotOpen
	}
	return c, nil
}

func (a *App) openTopup(ctx context.Context, tx pgx.Tx, userID uuid.UUID, in TopupInput, facts topupFacts) (domain.Topup, error) {
	now := a.Now()
	c, err := a.topupWallet(ctx, tx, userID, in) // again: it may have changed while the peers were asked
	if err != nil {
		return domain.Topup{}, err
	}
	limit := facts.rules.Limit(c, domain.KindTopup, in.Amount.Currency, now)
	if err := limit.CheckAmount(in.Amount.Amount); err != nil {
		return domain.Topup{}, err
	}
	t := domain.Topup{ID: newID(), UserID: userID, WalletID: in.WalletID, Amount: in.Amount,
		AccountReference: newAccountNumber(domain.AccountOfTopup),
		Status:           domain.TopupStored, Credit: domain.CreditNone, CreatedAt: now, UpdatedAt: now, OthersPhone: facts.others}
	phone, err := a.sealText(sealPhone, t.ID, in.Phone)
	if err != nil {
		return domain.Topup{}, err
	}
	period := domain.PeriodOf(c.Country, now)
	used, err := a.q.OpenTopup(ctx, tx, walletdb.OpenTopupParams{ID: t.ID, UserID: userID, WalletID: t.WalletID, Currency: t.Amount.Currency,
		AmountMinor: t.Amount.Amount, PhoneSealed: phone, OthersPhone: t.OthersPhone, AccountReference: t.AccountReference,
		Day: date(period.Day), Month: date(period.Month), CreatedAt: now})
	if err != nil {
		return domain.Topup{}, fmt.Errorf("open topup: %w", err)
	}
	if err := limit.CheckUsed(domain.Used{Day: used.UsedDay, Month: used.UsedMonth}); err != nil {
		return domain.Topup{}, err
	}
	underway, err := a.q.SumTopupsUnderway(ctx, tx, t.WalletID) // the counters are locked: no other top-up of the customer opens now
	if err != nil {
		return domain.Topup{}, fmt.Errorf("sum topups: %w", err)
	}
	if underway > facts.roomMinor {
		return domain.Topup{}, domain.ErrBalanceLimit
	}
	if t.OthersPhone {
		err := a.changePrompted(ctx, tx, in.Phone, func(p domain.PromptedPhone) (domain.PromptedPhone, error) { return p.Ask(now) })
		if err != nil {
			return domain.Topup{}, err
		}
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, RequestStkArgs{TopupID: t.ID}, nil); err != nil {
		return domain.Topup{}, fmt.Errorf("enqueue: %w", err)
	}
	return t, audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "topup.created", ObjectType: "topup", ObjectID: t.ID.String()})
}

// GetTopup returns one of the caller's top-ups.
func (a *App) GetTopup(ctx context.Context, id uuid.UUID) (domain.Topup, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Topup{}, err
	}
	row, err := a.q.GetTopup(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.UserID != userID:
		return domain.Topup{}, fault.ErrNotFound
	case err != nil:
		return domain.Topup{}, fmt.Errorf("get topup: %w", err)
	}
	return a.shownTopup(ctx, row), nil
}

// ListTopups returns a page of the caller's top-ups, newest first.
func (a *App) ListTopups(ctx context.Context, in page.Request) ([]domain.Topup, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listTopups", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListTopups(ctx, a.Pool, userID, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list topups: %w", err)
	}
	rows, next := page.Cut(p, rows, func(t walletdb.Topup) uuid.UUID { return t.ID })
	out := make([]domain.Topup, 0, len(rows))
	for _, r := range rows {
		out = append(out, a.shownTopup(ctx, r))
	}
	return out, next, nil
}

// topup is a row with M-Pesa's id of its prompt, by which messages are judged: without it nothing may be decided.
func (a *App) topup(r walletdb.Topup) (domain.Topup, error) {
	checkout, err := a.openText(sealCheckout, r.ID, r.CheckoutSealed)
	if err != nil {
		return domain.Topup{}, err
	}
	return topupOf(r, checkout), nil
}

// shownTopup is a row to look at: an id that cannot be opened hides no top-up.
func (a *App) shownTopup(ctx context.Context, r walletdb.Topup) domain.Topup {
	return topupOf(r, a.shownText(ctx, sealCheckout, r.ID, r.CheckoutSealed))
}

func topupOf(r walletdb.Topup, checkout string) domain.Topup {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return domain.Topup{ID: r.ID, UserID: r.UserID, WalletID: r.WalletID, Amount: money.Money{Amount: r.AmountMinor, Currency: r.Currency},
		AccountReference: r.AccountReference, Status: domain.TopupStatus(r.Status), FailureCode: r.FailureCode,
		CheckoutRequestID: checkout, MerchantRequestID: text(r.MerchantRequestID), Receipt: text(r.Receipt),
		Credit: domain.Credit(r.Credit), LedgerTransactionID: r.LedgerTransactionID, CreatedAt: r.CreatedAt, PromptedAt: r.PromptedAt,
		UpdatedAt:   r.UpdatedAt,
		OthersPhone: r.OthersPhone}
}

// lockTopup locks a top-up's row: everything that is decided about a top-up is decided under this lock.
func (a *App) lockTopup(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Topup, error) {
	row, err := a.q.LockTopup(ctx, tx, id)
	if err != nil {
		return domain.Topup{}, fmt.Errorf("lock topup: %w", err)
	}
	return a.topup(row)
}

// moveTopup applies an event to a locked top-up and writes it with what follows: the limit, the credit's job, the event. It writes
// nothing and reports false when the event changes nothing.
func (a *App) moveTopup(ctx context.Context, tx pgx.Tx, t domain.Topup, e domain.TopupEvent, failure string) (domain.Topup, bool, error) {
	next, share, moved := t.Apply(e, failure, a.Now())
	if !moved {
		return t, false, nil
	}
	if err := a.saveTopup(ctx, tx, next); err != nil {
		return t, false, err
	}
	if share != domain.ShareKept {
		at := a.Now()
		if _, err := a.q.SettleReservation(ctx, tx, walletdb.SettleReservationParams{Status: string(share), At: &at, ID: next.ID,
			Service: domain.OwnReservations}); err != nil {
			return t, false, fmt.Errorf("settle limit: %w", err)
		}
	}
	if err := a.markRail(ctx, tx, t, e, failure); err != nil {
		return t, false, err
	}
	a.metrics.topups.WithLabelValues(string(next.Status)).Inc()
	if err := a.endPrompt(ctx, tx, next); err != nil {
		return t, false, err
	}
	switch next.Status {
	case domain.TopupPaid:
		if _, err := a.Jobs.InsertTx(ctx, tx, CreditTopupArgs{TopupID: next.ID}, nil); err != nil {
			return t, false, fmt.Errorf("enqueue: %w", err)
		}
	case domain.TopupFailed, domain.TopupExpired:
		err := a.publish(ctx, tx, "wallet.topup_failed", next.WalletID, events.WalletTopupFailed{
			TopupID: next.ID, WalletID: next.WalletID, UserID: next.UserID, Amount: wireMoney(next.Amount), ReasonCode: next.FailureCode})
		if err != nil {
			return t, false, err
		}
	}
	return next, true, nil
}

func (a *App) saveTopup(ctx context.Context, tx pgx.Tx, t domain.Topup) error {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	sealed, err := a.sealText(sealCheckout, t.ID, t.CheckoutRequestID)
	if err != nil {
		return fmt.Errorf("seal checkout id: %w", err)
	}
	var index []byte
	if t.CheckoutRequestID != "" {
		index = a.Sealer.Index(sealCheckout, t.CheckoutRequestID)
	}
	err = a.q.UpdateTopup(ctx, tx, walletdb.UpdateTopupParams{ID: t.ID, Status: string(t.Status), FailureCode: t.FailureCode,
		CheckoutSealed: sealed, CheckoutIndex: index, MerchantRequestID: optional(t.MerchantRequestID), Receipt: optional(t.Receipt),
		Credit: string(t.Credit), LedgerTransactionID: t.LedgerTransactionID, PromptedAt: t.PromptedAt, UpdatedAt: a.Now()})
	if err != nil {
		return fmt.Errorf("update topup: %w", err)
	}
	return nil
}
