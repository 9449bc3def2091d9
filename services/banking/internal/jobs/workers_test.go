package jobs_test

import (
	"testing"

	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// TestJobs: a stored withdrawal is sent by its job, its result is judged by another, and what follows is booked, also when the ledger and
// wallet were away meanwhile.
func TestJobs(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	made := w.Stored(p, 1000)
	w.RunJobs()
	status := func() string { return w.Text("SELECT status FROM withdrawals") }
	servicetest.Eventually(t, "it is accepted", func() bool { return status() == "accepted" })
	w.Wallet.Down(true)
	token, request := testworld.At(w.Mpesa.Payments()[0]["ResultURL"])
	body := testworld.Success(made.ID, testworld.Conversation(1), "SKL1A2B3C5", 1000)
	if err := w.App.ReceiveRailResult(testworld.Known(t.Context()), token, request, body); err != nil {
		t.Fatal(err)
	}
	tried := func() bool {
		return w.Text("SELECT count(*) FROM river_job WHERE kind = 'banking.settle' AND state = 'scheduled'") == "1"
	}
	servicetest.Eventually(t, "the booking is put off", func() bool { return status() == "paid" && tried() })
	w.Wallet.Down(false)
	servicetest.Eventually(t, "it is booked", func() bool {
		return w.Wallet.Limit(made.ID) == "committed" && len(w.PublishedOf("banking.withdrawal_paid")) == 1
	})
}
