package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// roomEvery is how often room is looked for: a debit, a capture or a higher maximum frees money that is held above it so much later at
// most.
const roomEvery = 2 * time.Second

// FreeRoom releases money that is held above a maximum as far as there is room, the oldest hold of an account first, through the path of
// every other transaction. It returns how many releases it posted. Frozen accounts too: what is freed stays in the account, which still
// gives nothing out. Any number of replicas may run it at once: they send the same reference, which happens once.
func (a *App) FreeRoom(ctx context.Context) (int, error) {
	released := 0
	for after := uuid.Nil; ; {
		rooms, err := a.q.ListRooms(ctx, a.pool, after)
		if err != nil {
			return released, fmt.Errorf("look for room: %w", err)
		}
		if len(rooms) == 0 {
			return released, nil
		}
		n, err := a.release(ctx, rooms)
		if err != nil {
			return released, err
		}
		if released += n; n == 0 { // else the same accounts may have a next hold, and room for it
			after = rooms[len(rooms)-1].AccountID
		}
	}
}

// release sends the next release of each hold, and returns how many were posted. The number of a release is stored before it is sent, and
// changes when its outcome is known: whoever comes after a crash in between sends the same one again, and is told what became of it.
func (a *App) release(ctx context.Context, rooms []transactionsdb.ListRoomsRow) (posted int, err error) {
	ids := make([]uuid.UUID, len(rooms))
	for i, r := range rooms {
		ids[i] = r.HoldID
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	if err := a.q.InsertRoomReleases(ctx, a.pool, ids); err != nil {
		return 0, fmt.Errorf("number releases: %w", err)
	}
	next, err := a.q.ListRoomReleases(ctx, a.pool, ids)
	if err != nil {
		return 0, fmt.Errorf("read the numbers of releases: %w", err)
	}
	requests := make([]domain.Request, len(next))
	for i, r := range next {
		requests[i] = domain.RoomRelease(r.HoldID, r.Number)
	}
	outcomes, err := a.post(ctx, requests)
	if err != nil {
		return 0, err
	}
	var known []uuid.UUID
	var numbers []int32
	for i, o := range outcomes {
		if o.Unstored() {
			continue // others were faster: the number is still free
		}
		known, numbers = append(known, next[i].HoldID), append(numbers, next[i].Number)
		if o.Status == domain.Posted {
			posted++
		}
	}
	if len(known) == 0 {
		return 0, nil
	}
	if err := a.q.NextRoomReleases(ctx, a.pool, known, numbers); err != nil {
		return posted, fmt.Errorf("count releases: %w", err)
	}
	return posted, nil
}

// RoomLoop runs FreeRoom every 2 s until ctx ends.
func (a *App) RoomLoop(ctx context.Context) error {
	return a.every(ctx, roomEvery, "money above a maximum could not be freed", a.FreeRoom)
}
