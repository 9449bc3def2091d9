package app_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// BenchmarkPost posts transfers with fee and excise, so the two fee accounts are hot, by some number of callers at once.
func BenchmarkPost(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := open(b)
			excise := domain.SystemAccountID("excise.payable.KES")
			accounts := make([]uuid.UUID, 128)
			for i := range accounts {
				accounts[i] = w.customer(b, "KES", 0).ID
				w.fund(b, accounts[i], 1_000_000_000)
			}
			var next atomic.Int64
			b.SetParallelism((callers + 1) / 2) // GOMAXPROCS is 2 on the reference machine
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := next.Add(1)
					from, to := accounts[i%128], accounts[(i*7+1)%128]
					if from == to {
						to = accounts[(i+1)%128]
					}
					out, err := w.PostTransactions(w.Ctx,
						[]domain.Request{w.request(domain.ActionPost, kes(from, to, 100), kes(from, fees, 10), kes(from, excise, 2))}, false)
					if err != nil || out[0].Status != domain.Posted {
						b.Errorf("%+v %v", out, err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
			w.Verify()
		})
	}
}
