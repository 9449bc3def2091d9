package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// lookAtStaff finds members of staff whose wallet holds money: admins of earlier releases were customers too.
func (f *flags) lookAtStaff(ctx context.Context) (string, error) {
	staff, err := f.ids(ctx, "user", "SELECT id FROM users WHERE role NOT IN ('customer', 'agent')")
	if err != nil {
		return "", err
	}
	wallets, err := f.ids(ctx, "wallet", "SELECT id FROM wallets WHERE user_id = ANY($1)", staff)
	if err != nil {
		return "", err
	}
	rich, err := f.ids(ctx, "transactions", "SELECT id FROM accounts WHERE id = ANY($1) AND credits_minor <> debits_minor", wallets)
	if err != nil {
		return "", err
	}
	if len(rich) == 0 {
		return fmt.Sprintf("%d members, no money in their wallets", len(staff)), nil
	}
	owners, err := f.ids(ctx, "wallet", "SELECT DISTINCT user_id FROM wallets WHERE id = ANY($1)", rich)
	if err != nil {
		return "", err
	}
	names := make([]string, len(owners))
	for i, id := range owners {
		names[i] = id.String()
	}
	return "", fmt.Errorf("the wallets of these members hold money: %s", strings.Join(names, ", "))
}

// ids reads a column of ids in a service's database.
func (f *flags) ids(ctx context.Context, database, query string, args ...any) ([]uuid.UUID, error) {
	admin, err := f.adminURL()
	if err != nil {
		return nil, err
	}
	u, err := platform.DatabaseURL(admin, database)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("no answer from the database of %s", database)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}
