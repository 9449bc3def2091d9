package domain_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// TestReservationStates: what each state answers to a repeated request, a commit and a release.
func TestReservationStates(t *testing.T) {
	t.Parallel()
	d := domain.Demand{UserID: uuid.New(), Kind: domain.KindDeposit, Amount: money.Money{Amount: 100_00, Currency: "KES"}}
	other := d
	other.Amount.Amount++
	for status, c := range map[string]struct {
		put, putOther, commit, release error
		commits, releases              bool
	}{
		domain.Reserved:  {putOther: domain.ErrReservationDiffers, commits: true, releases: true},
		domain.Committed: {putOther: domain.ErrReservationDiffers, release: domain.ErrReservationCommitted},
		domain.Released:  {put: domain.ErrReservationReleased, putOther: domain.ErrReservationDiffers, commits: true},
		domain.Refused:   {put: domain.ErrLimitDay, putOther: domain.ErrReservationDiffers, commit: domain.ErrReservationRefused},
		domain.Tombstone: {put: domain.ErrReservationReleased, putOther: domain.ErrReservationReleased,
			commit: domain.ErrReservationReleased},
	} {
		r := domain.Reservation{Demand: d, Status: status}
		switch status {
		case domain.Refused:
			r.Refusal = domain.ErrLimitDay.Code
		case domain.Tombstone:
			r.Demand = domain.Demand{}
		}
		commits, commit := r.Commit()
		releases, release := r.Release()
		for what, pair := range map[string][2]error{"put": {r.Put(d), c.put}, "another put": {r.Put(other), c.putOther},
			"commit": {commit, c.commit}, "release": {release, c.release}} {
			if !errors.Is(pair[0], pair[1]) {
				t.Errorf("%s, %s: %v, want %v", status, what, pair[0], pair[1])
			}
		}
		if commits != c.commits || releases != c.releases {
			t.Errorf("%s: changes by commit %t, by release %t", status, commits, releases)
		}
	}
}
