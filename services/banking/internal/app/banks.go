package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// ListBanks returns Kenya's banks by name: Paystack's list of the last day, or, while it cannot be asked, the last one that is known.
func (a *App) ListBanks(ctx context.Context) ([]domain.Bank, error) {
	kept, err := a.q.ListBanks(ctx, a.Pool)
	if err != nil {
		return nil, fmt.Errorf("list banks: %w", err)
	}
	now := a.Now()
	if len(kept) > 0 && now.Sub(newest(kept)) < domain.BankListLife {
		return banks(kept), nil
	}
	fresh, err := a.Paystack.ListBanks(ctx, paystack.BankQuery{Country: "kenya", Currency: paystack.KES, Type: paystack.KEPSS})
	if err == nil && len(fresh) == 0 {
		err = errors.New("the list is empty")
	}
	if err != nil {
		a.Log.WarnContext(ctx, "no list of banks", "err", err)
		if len(kept) == 0 {
			return nil, fmt.Errorf("list banks: %w", fault.ErrUnavailable)
		}
		return banks(kept), nil
	}
	if kept, err = a.keepBanks(ctx, fresh, now); err != nil {
		return nil, err
	}
	return banks(kept), nil
}

// keepBanks takes a list for the known one; what it does not have any more is no bank that can be paid to.
func (a *App) keepBanks(ctx context.Context, fresh []paystack.Bank, now time.Time) (kept []bankingdb.Bank, err error) {
	now = now.Truncate(time.Microsecond)                                                            // as it is stored
	slices.SortFunc(fresh, func(x, y paystack.Bank) int { return strings.Compare(x.Code, y.Code) }) // one order of locks
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		for _, b := range fresh {
			if !b.Active || b.Type != paystack.KEPSS {
				continue
			}
			if err := a.q.KeepBank(ctx, tx, b.Code, b.Name, now); err != nil {
				return fmt.Errorf("keep bank: %w", err)
			}
		}
		if err := a.q.DropBanks(ctx, tx, now); err != nil {
			return fmt.Errorf("drop banks: %w", err)
		}
		kept, err = a.q.ListBanks(ctx, tx)
		return err
	})
	return kept, err
}

func newest(kept []bankingdb.Bank) (at time.Time) {
	for _, b := range kept {
		if b.SeenAt.After(at) {
			at = b.SeenAt
		}
	}
	return at
}

func banks(kept []bankingdb.Bank) []domain.Bank {
	out := make([]domain.Bank, len(kept))
	for i, b := range kept {
		out[i] = domain.Bank{Code: b.Code, Name: b.Name}
	}
	return out
}

// bank finds a bank by its code.
func (a *App) bank(ctx context.Context, code string) (domain.Bank, error) {
	all, err := a.ListBanks(ctx)
	if err != nil {
		return domain.Bank{}, err
	}
	i := slices.IndexFunc(all, func(b domain.Bank) bool { return b.Code == code })
	if i < 0 {
		return domain.Bank{}, domain.ErrBankUnknown
	}
	return all[i], nil
}

// resolve asks a bank for the name of an account's owner; "" if it cannot tell one. No answer is no name, but a fault.
func (a *App) resolve(ctx context.Context, bankCode, number string) (string, error) {
	told, err := a.Paystack.ResolveAccount(ctx, bankCode, number)
	switch {
	case err == nil:
		return told.Name, nil
	case paystack.Definite(err) && !paystack.Busy(err) && !paystack.Unauthorized(err):
		return "", nil
	}
	return "", fmt.Errorf("resolve account: %w", errors.Join(fault.ErrUnavailable, err))
}
