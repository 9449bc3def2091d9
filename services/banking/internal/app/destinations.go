package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// bankDestination is a linked account as a withdrawal's destination. It refuses one that is not the customer's, one that is too new, all
// while the customer's credentials are new, and, if the bank is to be asked, one that has another owner than when it was linked.
func (a *App) bankDestination(ctx context.Context, userID, id uuid.UUID, ask bool) (domain.Destination, error) {
	row, err := a.q.GetBankAccount(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && (row.UserID != userID || row.DeletedAt != nil):
		return domain.Destination{}, fault.ErrNotFound
	case err != nil:
		return domain.Destination{}, fmt.Errorf("get account: %w", err)
	}
	account, err := a.bankAccount(row)
	if err != nil {
		return domain.Destination{}, err
	}
	if err := a.cooled(ctx, userID); err != nil {
		return domain.Destination{}, err
	}
	if a.Now().Before(account.PayableFrom) {
		return domain.Destination{}, domain.ErrBankAccountHeld
	}
	if ask {
		if err := a.sameOwner(ctx, account); err != nil {
			return domain.Destination{}, err
		}
	}
	return domain.Destination{Rail: domain.RailPaystack, Name: account.Name,
		Account: &domain.PaidAccount{ID: account.ID, Number: account.Number, BankName: account.BankName}}, nil
}

// sameOwner asks the bank again whose an account is, if it told before.
func (a *App) sameOwner(ctx context.Context, account domain.BankAccount) error {
	if !account.NameChecked {
		return nil
	}
	name, err := a.resolve(ctx, account.BankCode, account.Number)
	if err == nil && !domain.SameName(name, account.Name) {
		err = domain.ErrBankAccountChanged
	}
	return err
}

// place is a destination as it is sealed with a quote or withdrawal: a number, and after an account's the bank's name. It is part of stored
// data.
func place(d domain.Destination) string {
	if d.Account != nil {
		return d.Account.Number + " " + d.Account.BankName
	}
	return d.Phone
}

func (a *App) openDestination(id uuid.UUID, sealed, name []byte, account *uuid.UUID) (domain.Destination, error) {
	where, err := a.openText(sealDestination, id, sealed)
	if err != nil {
		return domain.Destination{}, err
	}
	out := domain.Destination{Rail: domain.RailMpesa, Phone: where}
	if account != nil {
		number, bank, _ := strings.Cut(where, " ")
		out = domain.Destination{Rail: domain.RailPaystack, Account: &domain.PaidAccount{ID: *account, Number: number, BankName: bank}}
	}
	out.Name, err = a.openText(sealName, id, name)
	return out, err
}

func accountID(d domain.Destination) *uuid.UUID {
	if d.Account == nil {
		return nil
	}
	return &d.Account.ID
}
