package domain_test

import (
	"testing"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// TestMarks is what each transition shows of a rail.
func TestMarks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		t    domain.Transition
		want domain.Mark
	}{
		"paid":                   {domain.Transition{From: domain.Accepted, To: domain.Paid, Evidence: domain.ByResult}, domain.MarkGood},
		"paid after it was lost": {domain.Transition{From: domain.Unknown, To: domain.Paid, Evidence: domain.ByStatus}, domain.MarkGood},
		"paid after all":         {domain.Transition{From: domain.Failed, To: domain.Paid, Evidence: domain.ByResult}, domain.MarkNone},
		"paid by people":         {domain.Transition{From: domain.InDoubt, To: domain.Paid, Evidence: domain.ByPeople}, domain.MarkNone},
		"answer lost":            {domain.Transition{From: domain.Requested, To: domain.Unknown, Evidence: domain.ByAnswer}, domain.MarkBad},
		"no result":              {domain.Transition{From: domain.Accepted, To: domain.InDoubt, Evidence: domain.BySilence}, domain.MarkBad},
		"given up":               {domain.Transition{From: domain.Unknown, To: domain.InDoubt, Evidence: domain.BySilence}, domain.MarkNone},
		"limit":                  {domain.Transition{From: domain.Stored, To: domain.Failed, Evidence: domain.ByLimit}, domain.MarkNone},
		"no float": {domain.Transition{From: domain.Accepted, To: domain.Failed, Evidence: domain.ByResult, Reason: "no_float"},
			domain.MarkNoFloat},
		"no M-Pesa": {domain.Transition{From: domain.Accepted, To: domain.Failed, Evidence: domain.ByResult,
			Reason: "receiver_not_registered"}, domain.MarkNone},
		"refused": {domain.Transition{From: domain.Requested, To: domain.Failed, Evidence: domain.ByAnswer, Reason: "rail_refused"},
			domain.MarkBad},
	} {
		if got := domain.MarkOf(c.t); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, c := range map[string]struct {
		t    domain.Transition
		want domain.Mark
	}{
		"paid":           {domain.Transition{From: domain.Waiting, To: domain.Paid, Evidence: domain.ByVerify}, domain.MarkGood},
		"paid late":      {domain.Transition{From: domain.Expired, To: domain.Paid, Evidence: domain.ByVerify}, domain.MarkNone},
		"declined":       {domain.Transition{From: domain.Waiting, To: domain.Failed, Evidence: domain.ByVerify}, domain.MarkNone},
		"nobody paid":    {domain.Transition{From: domain.Waiting, To: domain.Expired, Evidence: domain.BySilence}, domain.MarkNone},
		"no page":        {domain.Transition{From: domain.Requested, To: domain.Failed, Evidence: domain.ByAnswer}, domain.MarkBad},
		"no page at all": {domain.Transition{From: domain.Requested, To: domain.Expired, Evidence: domain.BySilence}, domain.MarkBad},
		"over the limit": {domain.Transition{From: domain.Stored, To: domain.Failed, Evidence: domain.ByLimit}, domain.MarkNone},
	} {
		if got := domain.MarkOfDeposit(c.t); got != c.want {
			t.Errorf("deposit %s: %q", name, got)
		}
	}
}
