package audit_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/web"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "kit", fstest.MapFS{})
	ctx := web.WithRequestID(auth.With(t.Context(), auth.Principal{Subject: "user:1", Act: "service:banking", Operation: "createPayout"}),
		"req-12345678")
	err := pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, time.Now(), audit.Entry{Action: "payout.created", ObjectType: "payout", ObjectID: "7",
			Detail: map[string]string{"state": "created"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var actor, behalf, operation, request, state string
	err = db.Pool.QueryRow(
		ctx, "SELECT actor, on_behalf, operation, request_id, detail->>'state' FROM audit_log WHERE object_type = 'payout' AND object_id = '7'").
		Scan(&actor, &behalf, &operation, &request, &state)
	if err != nil || actor != "service:banking" || behalf != "user:1" || operation != "createPayout" || request != "req-12345678" ||
		state != "created" {
		t.Fatalf("%s %s %s %s %s %v", actor, behalf, operation, request, state, err)
	}
}
