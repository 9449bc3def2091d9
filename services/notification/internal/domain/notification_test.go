package domain_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func TestCanBecome(t *testing.T) {
	t.Parallel()
	all := []domain.State{domain.Pending, domain.Sending, domain.Sent, domain.Delivered, domain.Failed, domain.Unknown}
	legal := map[[2]domain.State]bool{
		{domain.Pending, domain.Sending}: true, {domain.Pending, domain.Failed}: true,
		{domain.Sending, domain.Pending}: true, {domain.Sending, domain.Sent}: true,
		{domain.Sending, domain.Failed}: true, {domain.Sending, domain.Unknown}: true,
		{domain.Sent, domain.Delivered}: true, {domain.Sent, domain.Failed}: true,
		{domain.Unknown, domain.Sent}: true, {domain.Unknown, domain.Failed}: true,
	}
	for _, from := range all {
		for _, to := range all {
			if got := from.CanBecome(to); got != legal[[2]domain.State{from, to}] {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
}

func TestAfterReport(t *testing.T) {
	t.Parallel()
	success := domain.Report{Final: true, Delivered: true, Status: "Success"}
	failed := domain.Report{Final: true, Status: "Failed", FailureReason: "UserInBlackList"}
	for name, c := range map[string]struct {
		state  domain.State
		report domain.Report
		next   domain.State
		reason string
		ok     bool
	}{
		"delivered": {domain.Sent, success, domain.Delivered, "", true},
		"failed":    {domain.Sent, failed, domain.Failed, "opted_out", true},
		"absent": {domain.Sent, domain.Report{Final: true, Status: "AbsentSubscriber"}, domain.Failed, "recipient_unreachable",
			true},
		"failed without reason":  {domain.Sent, domain.Report{Final: true, Status: "Failed"}, domain.Failed, "delivery_failed", true},
		"intermediate":           {domain.Sent, domain.Report{Status: "Submitted"}, domain.Sent, "", false},
		"success after failed":   {domain.Failed, success, domain.Failed, "", false},
		"failed after delivered": {domain.Delivered, failed, domain.Delivered, "", false},
		"delivered twice":        {domain.Delivered, success, domain.Delivered, "", false},
		"not sent yet":           {domain.Sending, failed, domain.Sending, "", false},
	} {
		next, reason, ok := domain.AfterReport(c.state, c.report)
		if next != c.next || reason != c.reason || ok != c.ok {
			t.Errorf("%s: %s %q %v, want %s %q %v", name, next, reason, ok, c.next, c.reason, c.ok)
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{403: "invalid_phone", 406: "opted_out", 405: "insufficient_balance", 0: "refused", 999: "refused"} {
		if got := domain.SMSReason(code); got != want {
			t.Errorf("status code %d: %q, want %q", code, got, want)
		}
	}
	if got := domain.ReportReason("something new", "Rejected"); got != "rejected" {
		t.Errorf("an unknown reason hides the status: %q", got)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	if got := domain.Deadline(domain.OTP, at).Sub(at); got != 10*time.Minute {
		t.Errorf("a code is sent for %s", got)
	}
	if got := domain.Deadline(domain.TransferSent, at).Sub(at); got != 24*time.Hour {
		t.Errorf("a receipt is sent for %s", got)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		got, want time.Duration
	}{
		"receipt, first":   {domain.SendBackoff(domain.TopupSucceeded, 1), 15 * time.Second},
		"receipt, third":   {domain.SendBackoff(domain.TopupSucceeded, 3), time.Minute},
		"receipt, longest": {domain.SendBackoff(domain.TopupSucceeded, 1000), 30 * time.Minute},
		"code, first":      {domain.SendBackoff(domain.OTP, 1), 2 * time.Second},
		"code, longest":    {domain.SendBackoff(domain.OTP, 1000), 15 * time.Second},
		"peer, first":      {domain.PeerBackoff(domain.TopupSucceeded, 1), 2 * time.Second},
		"peer, longest":    {domain.PeerBackoff(domain.TopupSucceeded, 1000), 5 * time.Minute},
		"peer for a code":  {domain.PeerBackoff(domain.OTP, 1000), 10 * time.Second},
		"report, new":      {domain.ReportBackoff(0), 2 * time.Second},
		"report, older":    {domain.ReportBackoff(30 * time.Second), 30 * time.Second},
		"report, oldest":   {domain.ReportBackoff(time.Hour), 5 * time.Minute},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}
