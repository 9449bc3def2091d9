package app

import (
	"context"
	"crypto/sha256"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/pg"
)

// railResults is where Safaricom tells what became of a request, with the request's id after the token.
var railResults = hook.Address{Path: "/v1/hooks/br/", Token: "rail result", Sealed: "banking.message:"}

// Kinds of messages.
const (
	kindResult  = "result"
	kindTimeout = "timeout"
	kindAnswer  = "paystack_answer" // to a question, at once
)

func (a *App) resultURL(request uuid.UUID) string {
	return a.PublicURL + a.results.Path(request.String()) + "/" + request.String()
}

// ReceiveRailResult stores what Safaricom says about a request, sealed and once, and leaves the judgement to a job. A wrong token is 404.
func (a *App) ReceiveRailResult(ctx context.Context, token string, request uuid.UUID, body []byte) error {
	return a.receive(ctx, kindResult, token, request, body)
}

// ReceiveRailTimeout is ReceiveRailResult for the notice that a request waited too long in Safaricom's queue.
func (a *App) ReceiveRailTimeout(ctx context.Context, token string, request uuid.UUID, body []byte) error {
	return a.receive(ctx, kindTimeout, token, request, body)
}

func (a *App) receive(ctx context.Context, kind, token string, request uuid.UUID, body []byte) error {
	if err := a.results.Check(token, request.String()); err != nil {
		return err
	}
	source := auth.SourceKnown
	if auth.From(ctx).Stranger() {
		source = auth.SourceStranger
	}
	sum := sha256.Sum256(body)
	return a.results.Keep(ctx, body, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		_, err := a.q.InsertProviderEvent(ctx, tx, bankingdb.InsertProviderEventParams{ID: m.ID, Kind: kind, RequestID: request,
			BodyHash: sum[:], BodySealed: m.Sealed, Source: source, ReceivedAt: a.Now()})
		if pg.IsNoRows(err) {
			return nil, nil // the same message again
		}
		if err != nil {
			return nil, err
		}
		return JudgeArgs{EventID: m.ID}, nil
	})
}
