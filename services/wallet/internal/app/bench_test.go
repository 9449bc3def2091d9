package app_test

import (
	"testing"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// BenchmarkCreateTransfer is the wallet's own share of a transfer: the scripted ledger answers at once, in this process.
func BenchmarkCreateTransfer(b *testing.B) {
	w := testworld.New(b)
	const pairs = 16
	var from, to [pairs]testworld.Person
	for i := range pairs {
		from[i], to[i] = w.Person(2, 1_000_000), w.Person(2, 0)
	}
	quotes := make([]domain.Quote, b.N)
	for i := range quotes {
		quotes[i] = w.Quote(from[i%pairs], to[i%pairs], 1)
	}
	b.ResetTimer()
	work := make(chan int, b.N)
	for i := range b.N {
		work <- i
	}
	close(work)
	together(pairs, func(int) {
		for i := range work {
			ctx := w.Approve(testworld.As(b.Context(), from[i%pairs]), quotes[i].ID)
			if _, err := w.App.CreateTransfer(ctx, app.TransferInput{Key: key(), QuoteID: quotes[i].ID}); err != nil {
				b.Errorf("transfer: %v", err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
}
