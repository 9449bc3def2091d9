package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// actionSuspense is stored with approvals: never change it.
const actionSuspense = "suspense.decide"

// sealWords is what the words of a decision are sealed for, before the item's id. It is part of stored data: never change it.
const sealWords = "wallet.suspense_words"

// Evidence of a transition of money in suspense.
const (
	byPerson = "person"
	byPeople = "people"
	byLedger = "ledger"
	byAnswer = "answer"
	byResult = "result"
	byStatus = "status"
)

// SuspenseDecision is what shall become of money in suspense. Its JSON is what a checker is shown: a field's name never changes.
type SuspenseDecision struct {
	Action   string     `json:"action"` // match or return
	WalletID *uuid.UUID `json:"wallet_id,omitempty"`
}

// Actions of a decision.
const (
	actionMatch  = "match"
	actionReturn = "return"
)

// status is the state that the decision leads to, and the one in which it is carried out.
func (d SuspenseDecision) status() (first, last domain.SuspenseStatus) {
	if d.Action == actionMatch {
		return domain.SuspenseMatching, domain.SuspenseMatched
	}
	return domain.SuspenseReturning, domain.SuspenseReturned
}

func (d SuspenseDecision) check() error {
	if (d.Action == actionMatch) != (d.WalletID != nil) {
		return fault.ErrInvalid.WithField("/wallet_id", "contradiction", "A match names a wallet, a return names none.")
	}
	return nil
}

// railsOperator lets only a person on who may look after the rails.
func railsOperator(ctx context.Context) error {
	if _, err := auth.UserFrom(ctx); err != nil {
		return err
	}
	return auth.Require(ctx, scopes.AdminRails)
}

func (a *App) lockSuspense(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.SuspenseItem, error) {
	row, err := a.q.LockSuspense(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.SuspenseItem{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.SuspenseItem{}, fmt.Errorf("lock suspense: %w", err)
	}
	return suspenseItem(walletdb.GetSuspenseRow(row)), nil
}

func suspenseItem(r walletdb.GetSuspenseRow) domain.SuspenseItem {
	return domain.SuspenseItem{ID: r.ID, Source: r.Source, Why: r.Why, Amount: money.Money{Amount: r.AmountMinor, Currency: r.Currency},
		Status: domain.SuspenseStatus(r.Status), Seq: r.Seq, BookedAt: r.BookedAt, Receipt: daraja.NormalizeReceipt(r.Receipt)}
}

// moveSuspense brings a locked item to another state, with the transition's row. t says why.
func (a *App) moveSuspense(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, to domain.SuspenseStatus,
	t walletdb.InsertSuspenseTransitionParams) (domain.SuspenseItem, error) {
	if !i.Moves(to) {
		return i, domain.ErrSuspenseDecided
	}
	from, now := string(i.Status), a.Now()
	i.Status, i.Seq = to, i.Seq+1
	t.ItemID, t.Seq, t.FromStatus, t.ToStatus, t.At = i.ID, i.Seq, &from, string(to), now
	if to != domain.SuspenseReturned {
		t.DoneAt = &now
	}
	if err := a.q.InsertSuspenseTransition(ctx, tx, t); err != nil {
		return i, fmt.Errorf("insert suspense transition: %w", err)
	}
	if err := a.q.MoveSuspense(ctx, tx, string(to), i.Seq, i.ID); err != nil {
		return i, fmt.Errorf("move suspense: %w", err)
	}
	a.metrics.suspense.WithLabelValues(string(to)).Inc()
	switch to {
	case domain.SuspenseMatching, domain.SuspenseReturned:
		if _, err := a.Jobs.InsertTx(ctx, tx, SettleSuspenseArgs{ItemID: i.ID}, nil); err != nil {
			return i, fmt.Errorf("enqueue: %w", err)
		}
	case domain.SuspenseReturning:
		if _, err := a.Jobs.InsertTx(ctx, tx, ReturnSuspenseArgs{ItemID: i.ID}, nil); err != nil {
			return i, fmt.Errorf("enqueue: %w", err)
		}
	}
	return i, nil
}

// judgeDecision says whether a decision may be made about an open item.
func (a *App) judgeDecision(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, d SuspenseDecision) error {
	if i.Status != domain.SuspenseOpen {
		return domain.ErrSuspenseDecided
	}
	if d.Action == actionReturn {
		if !a.CanReverse {
			return domain.ErrNotReturnable
		}
		return i.CheckReturnable()
	}
	w, err := a.q.GetWallet(ctx, tx, *d.WalletID)
	switch {
	case pg.IsNoRows(err):
		return domain.ErrSuspenseWallet
	case err != nil:
		return fmt.Errorf("get wallet: %w", err)
	case w.Currency != i.Amount.Currency || w.Status != domain.WalletOpen:
		return domain.ErrSuspenseWallet
	}
	return nil
}

// DecideSuspense decides what becomes of money in suspense: at once, if the amount is small and the person may approve; otherwise it asks a
// second person and returns the request. The same decision again, while or after it is carried out, is answered again.
func (a *App) DecideSuspense(ctx context.Context, id uuid.UUID, d SuspenseDecision, words string) (SuspenseView, *approve.Approval, error) {
	if err := railsOperator(ctx); err != nil {
		return SuspenseView{}, nil, err
	}
	if err := errors.Join(d.check(), approve.CheckReason(words)); err != nil {
		return SuspenseView{}, nil, err
	}
	var approval *approve.Approval
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		i, err := a.lockSuspense(ctx, tx, id)
		if err != nil {
			return err
		}
		if same, err := a.sameDecision(ctx, tx, i, d); err != nil || same {
			return err
		}
		if err := a.judgeDecision(ctx, tx, i, d); err != nil {
			return err
		}
		if i.Amount.Amount > a.SuspenseAloneMinor || auth.Require(ctx, scopes.AdminRailsApprove) != nil {
			asked, err := a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionSuspense, ObjectType: "suspense_item",
				ObjectID: id.String(), Payload: d, Reason: words})
			approval = &asked
			return err
		}
		person, err := auth.UserFrom(ctx)
		if err != nil {
			return err
		}
		return a.carryOut(ctx, tx, i, d, words, byPerson, person)
	})
	if err != nil {
		return SuspenseView{}, nil, err
	}
	view, err := a.viewSuspense(ctx, id)
	return view, approval, err
}

// sameDecision says whether an item is where this decision leads.
func (a *App) sameDecision(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, d SuspenseDecision) (bool, error) {
	first, last := d.status()
	if i.Status != first && i.Status != last {
		return false, nil
	}
	if d.WalletID == nil {
		return true, nil
	}
	all, err := a.q.ListSuspenseTransitions(ctx, tx, i.ID)
	if err != nil {
		return false, fmt.Errorf("list suspense transitions: %w", err)
	}
	wallet := all[len(all)-1].WalletID
	return wallet != nil && *wallet == *d.WalletID, nil
}

// carryOut begins what was decided, in the transaction of the decision.
func (a *App) carryOut(ctx context.Context, tx pgx.Tx, i domain.SuspenseItem, d SuspenseDecision, words, evidence string,
	by uuid.UUID) error {
	sealed, err := a.sealText(sealWords, i.ID, words)
	if err != nil {
		return err
	}
	to, _ := d.status()
	if _, err := a.moveSuspense(ctx, tx, i, to, walletdb.InsertSuspenseTransitionParams{Evidence: evidence, EvidenceID: &by,
		WalletID: d.WalletID, WordsSealed: sealed}); err != nil {
		return err
	}
	detail := map[string]string{"decision": d.Action, evidence: by.String()}
	if d.WalletID != nil {
		detail["wallet"] = d.WalletID.String()
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "suspense.decided", ObjectType: "suspense_item", ObjectID: i.ID.String(),
		Detail: detail})
}

// applySuspense carries out what two people decided, as the checker was shown it.
func (a *App) applySuspense(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var d SuspenseDecision
	if err := approval.Decode(&d); err != nil {
		return err
	}
	id, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no item: %w", approval.ID, err)
	}
	i, err := a.lockSuspense(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := errors.Join(d.check(), a.judgeDecision(ctx, tx, i, d)); err != nil {
		return err
	}
	return a.carryOut(ctx, tx, i, d, approval.Reason, byPeople, approval.ID)
}

// SuspenseView is an item with all that finance may see of it.
type SuspenseView struct {
	domain.SuspenseItem

	Payer       string // masked
	BillRef     string // what the payer typed
	AgeSeconds  int64
	Transitions []walletdb.ListSuspenseTransitionsRow
}

// ListSuspense returns a page of money in suspense, the oldest first. The reading is audited.
func (a *App) ListSuspense(ctx context.Context, status string, in page.Request) ([]SuspenseView, *string, error) {
	if err := railsOperator(ctx); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listSuspense", in, status)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListSuspense(ctx, a.Pool, status, p.From(uuid.Nil), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list suspense: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r walletdb.ListSuspenseRow) uuid.UUID { return r.ID })
	out := make([]SuspenseView, len(rows))
	for n, r := range rows {
		if out[n], err = a.showSuspense(ctx, suspenseItem(walletdb.GetSuspenseRow(r))); err != nil {
			return nil, nil, err
		}
	}
	return out, next, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "suspense.listed", ObjectType: "suspense", ObjectID: status})
	})
}

func (a *App) viewSuspense(ctx context.Context, id uuid.UUID) (SuspenseView, error) {
	row, err := a.q.GetSuspense(ctx, a.Pool, id)
	if err != nil {
		return SuspenseView{}, fmt.Errorf("get suspense: %w", err)
	}
	return a.showSuspense(ctx, suspenseItem(row))
}

// showSuspense adds what the message of an item's payment says, if it is about that payment.
func (a *App) showSuspense(ctx context.Context, i domain.SuspenseItem) (SuspenseView, error) {
	out := SuspenseView{SuspenseItem: i, AgeSeconds: max(int64(a.Now().Sub(i.BookedAt).Seconds()), 0)}
	var err error
	if out.Transitions, err = a.q.ListSuspenseTransitions(ctx, a.Pool, i.ID); err != nil {
		return out, fmt.Errorf("list suspense transitions: %w", err)
	}
	row, err := a.q.MessageOfSuspense(ctx, a.Pool, i.Receipt, "topup:"+i.ID.String())
	if pg.IsNoRows(err) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("message of suspense: %w", err)
	}
	body, err := a.stk.Open(row.ID, row.BodySealed)
	if err != nil {
		a.alarm(ctx, "text_lost", "purpose", "callback", "row", row.ID, "err", err)
		return out, nil
	}
	if row.Kind == kindStk {
		if c, err := daraja.ParseSTKCallback(body); err == nil {
			out.Payer = domain.MaskPayer(c.Phone)
		}
		return out, nil
	}
	if c, err := daraja.ParseC2B(body); err == nil && c.TransID == i.Receipt && c.AmountMinor == i.Amount.Amount {
		out.Payer, out.BillRef = domain.MaskPayer(c.MSISDN), c.BillRef
	}
	return out, nil
}
