package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// A request opens its deposit itself, so that its answer has the page's address; the job does it if the request could not.
const (
	openingTime   = 8 * time.Second
	openingBackup = 30 * time.Second
)

// DepositInput asks for money by Paystack.
type DepositInput struct {
	Key      string `json:"-"` // Idempotency-Key
	WalletID uuid.UUID
	Amount   money.Money
	Channel  string
}

// CreateDeposit stores a deposit and opens it at Paystack. A refusal of the limit, or by Paystack, is a failed deposit. Where Paystack's
// answer is lost the deposit comes back as requested, and the job goes on.
func (a *App) CreateDeposit(ctx context.Context, in DepositInput) (domain.Deposit, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Deposit{}, err
	}
	key := idem.NewKey(ctx, "createDeposit", in.Key, in)
	if stored, err := a.idem.Find(ctx, a.Pool, key); err != nil || stored != nil {
		return replayedDeposit(stored, err)
	}
	if err := a.Rails.Admit(ctx, a.Pool, domain.OperationDeposit); err != nil {
		return domain.Deposit{}, err
	}
	d, err := a.newDeposit(ctx, userID, in)
	if err != nil {
		return d, err
	}
	d.IdempotencyID = key.ID()
	var stored *idem.Stored
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if stored, err = a.idem.Begin(ctx, tx, key, idem.Phased("/v1/deposits/"+d.ID.String())); err != nil || stored != nil {
			return err
		}
		return a.insertDeposit(ctx, tx, d)
	})
	if err != nil || stored != nil {
		return replayedDeposit(stored, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openingTime)
	defer cancel()
	opened, refusal, err := a.openDeposit(ctx, d.ID)
	if refusal != nil {
		return opened, refusal
	}
	if err != nil { // the job goes on
		a.Log.WarnContext(ctx, "deposit not opened yet", "deposit", d.ID, "err", err)
		return a.readDeposit(context.WithoutCancel(ctx), d.ID)
	}
	return opened, nil
}

func replayedDeposit(stored *idem.Stored, err error) (d domain.Deposit, _ error) {
	if err != nil {
		return d, err
	}
	if err := stored.Err(); err != nil {
		return d, err
	}
	return d, stored.Decode(&d)
}

// newDeposit checks that the customer may deposit, and prices it.
func (a *App) newDeposit(ctx context.Context, userID uuid.UUID, in DepositInput) (domain.Deposit, error) {
	if err := domain.CheckDepositAmount(in.Channel, in.Amount); err != nil {
		return domain.Deposit{}, err
	}
	owner, err := a.owner(ctx, userID, in.WalletID, in.Amount.Currency)
	if err != nil {
		return domain.Deposit{}, err
	}
	now := a.Now()
	d := domain.Deposit{ID: newID(), UserID: userID, WalletID: in.WalletID, Channel: in.Channel, Status: domain.Stored, Seq: 1, CreatedAt: now,
		UpdatedAt: now}
	if in.Channel == domain.ChannelMpesa {
		if d.Phone, err = a.ownPhone(ctx, userID); err != nil {
			return d, err
		}
		if d.Phone == "" {
			return d, domain.ErrNoNumber
		}
		if err := domain.CheckMpesaPhone(d.Phone); err != nil {
			return d, err
		}
	}
	if d.Price, d.TariffVersion, err = a.price(ctx, owner, domain.KindDeposit, in.Amount); err != nil {
		return d, err
	}
	if d.Credit().Amount <= 0 {
		return d, domain.ErrDepositPrice
	}
	return d, nil
}

func (a *App) insertDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit) error {
	phone, err := a.sealText(sealDepositPhone, d.ID, d.Phone)
	if err != nil {
		return err
	}
	if err := a.q.InsertDeposit(ctx, tx, bankingdb.InsertDepositParams{ID: d.ID, IdempotencyID: d.IdempotencyID, UserID: d.UserID,
		WalletID: d.WalletID, Channel: d.Channel, PhoneSealed: phone, Currency: d.Amount.Currency, AmountMinor: d.Amount.Amount,
		FeeMinor: d.Fee.Amount, ExciseMinor: d.Excise.Amount, TariffVersion: d.TariffVersion, Status: string(d.Status),
		Now: d.CreatedAt}); err != nil {
		return fmt.Errorf("insert deposit: %w", err)
	}
	if err := a.q.InsertDepositTransition(ctx, tx, bankingdb.InsertDepositTransitionParams{DepositID: d.ID, Seq: d.Seq,
		ToStatus: string(d.Status), Evidence: domain.ByRequest, At: d.CreatedAt, DoneAt: &d.CreatedAt}); err != nil {
		return fmt.Errorf("insert transition: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, DepositArgs{DepositID: d.ID},
		&river.InsertOpts{ScheduledAt: d.CreatedAt.Add(a.Schedule.Scaled(openingBackup))}); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return audit.Record(ctx, tx, d.CreatedAt, audit.Entry{Action: "deposit.created", ObjectType: "deposit", ObjectID: d.ID.String()})
}

// lockDeposit locks a deposit's row: everything that is decided about it is decided under this lock.
func (a *App) lockDeposit(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Deposit, error) {
	row, err := a.q.LockDeposit(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.Deposit{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Deposit{}, fmt.Errorf("lock deposit: %w", err)
	}
	return a.deposit(row)
}

// depositMove is a transition with what else becomes known by it.
type depositMove struct {
	to      domain.Status
	because domain.Because
	came    domain.Came
	refusal *fault.Error                            // what the request that made the deposit gets, where that still waits
	change  func(d *domain.Deposit)                 // may be nil
	also    func(tx pgx.Tx, d domain.Deposit) error // in the same transaction, if it moves; may be nil
}

// moveDeposit brings a locked deposit to another state, with the transition's row, the answer to the request that waits for it, and the job
// of what follows. It reports false when the machine has no such transition.
func (a *App) moveDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit, m depositMove) (domain.Deposit, bool, error) {
	next, t, legal := d.Move(m.to, m.because, m.came, a.Now())
	if !legal {
		return d, false, nil
	}
	if m.change != nil {
		m.change(&next)
	}
	row := bankingdb.InsertDepositTransitionParams{DepositID: d.ID, Seq: t.Seq, FromStatus: optional(string(t.From)), ToStatus: string(t.To),
		Reason: t.Reason, Evidence: t.Evidence, At: t.At, LedgerStep: t.Ledger, LimitStep: t.Limit}
	follows := t.Ledger != domain.StepNone || t.Limit != domain.LimitKept
	if !follows {
		row.DoneAt = &t.At
	}
	if err := a.q.InsertDepositTransition(ctx, tx, row); err != nil {
		return d, false, fmt.Errorf("insert transition: %w", err)
	}
	if err := a.saveDeposit(ctx, tx, next); err != nil {
		return d, false, err
	}
	if err := a.markDeposit(ctx, tx, next, t); err != nil {
		return d, false, err
	}
	if opened := (d.Status == domain.Stored || d.Status == domain.Requested) && next.Status != domain.Requested; opened {
		if err := a.answerDeposit(ctx, tx, next, m.refusal); err != nil {
			return d, false, err
		}
	}
	if follows {
		if _, err := a.Jobs.InsertTx(ctx, tx, SettleDepositArgs{DepositID: d.ID}, nil); err != nil {
			return d, false, fmt.Errorf("enqueue: %w", err)
		}
	}
	if m.also != nil {
		if err := m.also(tx, next); err != nil {
			return d, false, err
		}
	}
	a.metrics.deposits.WithLabelValues(d.Channel, string(m.to)).Inc()
	return next, true, nil
}

// answerDeposit ends the idempotency key of the request that made the deposit.
func (a *App) answerDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit, refusal *fault.Error) error {
	if refusal != nil {
		return a.idem.FinishAll(ctx, tx, []idem.Finished{idem.Refused(d.IdempotencyID, refusal)})
	}
	return a.idem.FinishByID(ctx, tx, d.IdempotencyID, http.StatusCreated, d)
}

func (a *App) saveDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit) error {
	if err := a.q.UpdateDeposit(ctx, tx, bankingdb.UpdateDepositParams{ID: d.ID, Status: string(d.Status), Seq: d.Seq,
		FailureCode: d.FailureCode, CheckoutUrl: optional(d.CheckoutURL), DisplayText: optional(d.DisplayText),
		ProviderID: optional(d.ProviderID), Receipt: optional(d.Receipt), CameMinor: d.CameMinor, RailFeeMinor: d.RailFeeMinor, Asked: d.Asked,
		FirstSentAt: d.FirstSentAt, Now: a.Now()}); err != nil {
		return fmt.Errorf("update deposit: %w", err)
	}
	return nil
}

// decideDeposit is moveDeposit in a transaction of its own, under the lock.
func (a *App) decideDeposit(ctx context.Context, id uuid.UUID, m depositMove) (d domain.Deposit, moved bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout) // what is known must not be lost to a shutdown
	defer cancel()
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if d, err = a.lockDeposit(ctx, tx, id); err != nil {
			return err
		}
		d, moved, err = a.moveDeposit(ctx, tx, d, m)
		return err
	})
	return d, moved, err
}

func (a *App) readDeposit(ctx context.Context, id uuid.UUID) (domain.Deposit, error) {
	row, err := a.q.GetDeposit(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return domain.Deposit{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Deposit{}, fmt.Errorf("get deposit: %w", err)
	}
	return a.deposit(row)
}

// GetDeposit returns one of the caller's deposits.
func (a *App) GetDeposit(ctx context.Context, id uuid.UUID) (domain.Deposit, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Deposit{}, err
	}
	d, err := a.readDeposit(ctx, id)
	if err == nil && d.UserID != userID {
		return domain.Deposit{}, fault.ErrNotFound
	}
	return d, err
}

// ListDeposits returns a page of the caller's deposits, newest first.
func (a *App) ListDeposits(ctx context.Context, in page.Request) ([]domain.Deposit, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listDeposits", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListDeposits(ctx, a.Pool, userID, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list deposits: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r bankingdb.Deposit) uuid.UUID { return r.ID })
	out := make([]domain.Deposit, len(rows))
	for i, r := range rows {
		if out[i], err = a.deposit(r); err != nil {
			return nil, nil, err
		}
	}
	return out, next, nil
}

// OperatorDeposit is a deposit with all that happened to it.
type OperatorDeposit struct {
	domain.Deposit

	Transitions []bankingdb.ListDepositTransitionsRow
	Breaks      []bankingdb.DepositBreak
}

// ListDepositsByStatus returns a page of all customers' deposits in a state, newest first. The reading is audited.
func (a *App) ListDepositsByStatus(ctx context.Context, status string, in page.Request) ([]OperatorDeposit, *string, error) {
	if err := operator(ctx); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listDepositsByStatus", in, status)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListDepositsByStatus(ctx, a.Pool, status, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list deposits: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r bankingdb.Deposit) uuid.UUID { return r.ID })
	out := make([]OperatorDeposit, len(rows))
	for i, r := range rows {
		if out[i].Deposit, err = a.deposit(r); err != nil {
			return nil, nil, err
		}
		if out[i].Transitions, err = a.q.ListDepositTransitions(ctx, a.Pool, r.ID); err != nil {
			return nil, nil, fmt.Errorf("list transitions: %w", err)
		}
		if out[i].Breaks, err = a.q.ListDepositBreaks(ctx, a.Pool, r.ID); err != nil {
			return nil, nil, fmt.Errorf("list breaks: %w", err)
		}
	}
	return out, next, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "deposits.listed", ObjectType: "deposits", ObjectID: status})
	})
}

func (a *App) deposit(r bankingdb.Deposit) (domain.Deposit, error) {
	of := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: r.Currency} }
	d := domain.Deposit{ID: r.ID, IdempotencyID: r.IdempotencyID, UserID: r.UserID, WalletID: r.WalletID, Channel: r.Channel,
		Price:         domain.Price{Amount: of(r.AmountMinor), Fee: of(r.FeeMinor), Excise: of(r.ExciseMinor)},
		TariffVersion: r.TariffVersion, Status: domain.Status(r.Status), Seq: r.Seq, FailureCode: r.FailureCode,
		CheckoutURL: text(r.CheckoutUrl), DisplayText: text(r.DisplayText), ProviderID: text(r.ProviderID), Receipt: text(r.Receipt),
		CameMinor: r.CameMinor, RailFeeMinor: r.RailFeeMinor, Asked: r.Asked, FirstSentAt: utc(r.FirstSentAt), CreatedAt: r.CreatedAt.UTC(),
		UpdatedAt: r.UpdatedAt.UTC()}
	var err error
	d.Phone, err = a.openText(sealDepositPhone, r.ID, r.PhoneSealed)
	return d, err
}
