package app_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/fault"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// modelled is what a reservation should be, worked out apart from the service.
type modelled struct {
	demand   domain.Demand
	status   string
	refusal  string
	day      string
	unknowns bool
}

// TestLimitReservationsModel sends the requests of two services in every order, repeated, late and with other bodies, over a turn of the
// day, and compares each answer and the counters with a plain model.
func TestLimitReservationsModel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	kenya := country.OrDefault("KE")
	rapid.Check(t, func(rt *rapid.T) {
		p := w.Person(1, 0)
		ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		model, days, months := map[string]*modelled{}, map[string]int64{}, map[string]int64{}
		count := func(m *modelled, by int64) {
			days[m.day] += by * m.demand.Amount.Amount
			months[m.day[:7]] += by * m.demand.Amount.Amount
		}
		for range rapid.IntRange(1, 25).Draw(rt, "requests") {
			service := rapid.SampledFrom([]string{"banking", "agents"}).Draw(rt, "service")
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			ctx, key := asService(w, service), service+id.String()
			m, today := model[key], kenya.Day(w.Now()).Format(time.DateOnly)
			var err error
			want := ""
			switch what := rapid.SampledFrom([]string{"put", "put", "commit", "release", "pause"}).Draw(rt, "what"); what {
			case "put":
				d := demand(p, domain.KindWithdrawal, rapid.SampledFrom([]int64{4_000_000, perPayment, perPayment + 1}).Draw(rt, "amount"))
				_, _, err = w.App.PutLimitReservation(ctx, id, d)
				switch {
				case m == nil:
					m = &modelled{demand: d, day: today, status: domain.Reserved}
					switch {
					case d.Amount.Amount > perPayment:
						m.refusal = "limit_per_transaction"
					case days[today]+d.Amount.Amount > perDay:
						m.refusal = "limit_per_day"
					}
					if want = m.refusal; want != "" {
						m.status = domain.Refused
					} else {
						count(m, 1)
					}
					model[key] = m
				case m.unknowns:
					want = "reservation_released"
				case m.demand != d:
					want = "reservation_differs"
				case m.status == domain.Released:
					want = "reservation_released"
				default:
					want = m.refusal
				}
			case "commit":
				_, err = w.App.CommitLimitReservation(ctx, id)
				switch {
				case m == nil:
					want = "not_found"
				case m.unknowns:
					want = "reservation_released"
				case m.status == domain.Refused:
					want = "reservation_refused"
				default:
					if m.status == domain.Released {
						count(m, 1)
					}
					m.status = domain.Committed
				}
			case "release":
				err = w.App.ReleaseLimitReservation(ctx, id)
				switch {
				case m == nil:
					model[key] = &modelled{unknowns: true, status: domain.Released}
				case m.status == domain.Committed:
					want = "reservation_committed"
				case m.status == domain.Reserved:
					count(m, -1)
					m.status = domain.Released
				}
			case "pause":
				w.Advance(time.Duration(rapid.IntRange(1, 14).Draw(rt, "hours")) * time.Hour)
			}
			got := ""
			if f, ok := fault.As(err); ok {
				got = f.Code
			} else if err != nil {
				rt.Fatal(err)
			}
			if got != want {
				rt.Fatalf("answer %q, want %q (%+v)", got, want, m)
			}
		}
		for day, sum := range days {
			if got := w.Count(`SELECT COALESCE(sum(amount_minor), 0) FROM limit_usage WHERE user_id = $1 AND span = 'day' AND starts_on = $2::date`,
				p.UserID, day); int64(got) != sum {
				rt.Fatalf("day %s has %d, want %d", day, got, sum)
			}
		}
		for month, sum := range months {
			if got := w.Count(`SELECT COALESCE(sum(amount_minor), 0) FROM limit_usage
				WHERE user_id = $1 AND span = 'month' AND starts_on = $2::date`,
				p.UserID, month+"-01"); int64(got) != sum {
				rt.Fatalf("month %s has %d, want %d", month, got, sum)
			}
		}
	})
}
