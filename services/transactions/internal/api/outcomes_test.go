package api

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// TestOutcomesAreThoseOfTheContract: the hand-written answer is byte for byte what the generated types encode to.
func TestOutcomesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(drawOutcome), 0, 4).Draw(t, "outcomes")
		want := transactionsapi.PostTransactions200JSONResponse{Outcomes: make([]transactionsapi.Outcome, len(list))}
		for i, o := range list {
			want.Outcomes[i] = outcome(o)
		}
		expected, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		if err := outcomes(list).VisitPostTransactionsResponse(rec); err != nil {
			t.Fatal(err)
		}
		if got := rec.Body.String(); got != string(expected)+"\n" {
			t.Fatalf("%s\n%s", got, expected)
		}
	})
}

func drawOutcome(t *rapid.T) domain.Outcome {
	id := rapid.Custom(func(t *rapid.T) uuid.UUID { return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) })
	o := domain.Outcome{Reference: rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`).Draw(t, "reference"), Status: domain.Refused,
		RecordedAt: time.UnixMicro(rapid.Int64Range(1, 1<<52).Draw(t, "time")).UTC()}
	if rapid.Bool().Draw(t, "refused") {
		o.Code, o.Detail = domain.RefusedInsufficientFunds.Code, domain.RefusedInsufficientFunds.Detail
		return o
	}
	o.Status, o.TransactionID = domain.Posted, id.Draw(t, "transaction")
	if rapid.Bool().Draw(t, "hold") {
		o.HoldID = id.Draw(t, "hold id")
	}
	if rapid.Bool().Draw(t, "release") {
		o.Released, o.Currency = rapid.Int64Range(1, domain.MaxAmount).Draw(t, "released"), "KES"
	}
	amount := rapid.Int64Range(-domain.MaxAmount, domain.MaxAmount)
	for range rapid.IntRange(0, 3).Draw(t, "balances") {
		o.Balances = append(o.Balances,
			domain.OutcomeBalance{AccountID: id.Draw(t, "account"), Currency: "KES", Balance: amount.Draw(t, "balance"),
				Available: amount.Draw(t, "available"), Sequence: rapid.Int64Range(0, domain.MaxAmount).Draw(t, "sequence")})
	}
	return o
}
