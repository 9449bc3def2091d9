// Package audit writes one append-only row (who, what, when, which object) in the transaction of every change that a person or a key makes.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/web"
)

// Entry is one change. Detail holds codes and ids only: never personal data, never a secret.
type Entry struct {
	Action     string // past tense: api_key.created
	ObjectType string
	ObjectID   string
	Detail     map[string]string
}

// Execer is a pgx.Tx, or a pipeline of statements that is sent in one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Record adds the entry under a time; actor, operation and request id come from ctx.
func Record(ctx context.Context, tx Execer, at time.Time, e Entry) error {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fmt.Errorf("encode audit detail: %w", err)
	}
	p := auth.From(ctx)
	actor, behalf := p.Subject, ""
	if p.Act != "" {
		actor, behalf = p.Act, p.Subject
	}
	if actor == "" {
		actor = "system"
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit_log (at, actor, on_behalf, operation, action, object_type, object_id, request_id, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		at, actor, behalf, p.Operation, e.Action, e.ObjectType, e.ObjectID, web.RequestID(ctx), detail)
	if err != nil {
		return fmt.Errorf("record audit: %w", err)
	}
	return nil
}
