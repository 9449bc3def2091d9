package rail

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/pg"
)

// ActionSwitch is the approval of a switch by hand. It is part of stored data.
const ActionSwitch = "rail.switch"

// change is what a switch asks for.
type change struct {
	Off bool `json:"off"`
}

// Action is the approval that carries a switch out; it is one of the service's.
func (w *Watch) Action(propose, decide string) approve.Action {
	return approve.Action{Name: ActionSwitch, Propose: propose, Approve: decide,
		Apply: func(ctx context.Context, tx pgx.Tx, a approve.Approval) error {
			var c change
			if err := a.Decode(&c); err != nil {
				return err
			}
			if err := w.Switch(ctx, tx, a.ObjectID, c.Off, a.ID); err != nil {
				return err
			}
			to := "watch"
			if c.Off {
				to = "off"
			}
			return audit.Record(ctx, tx, w.Now(), audit.Entry{Action: "rail.switched", ObjectType: "rail", ObjectID: a.ObjectID,
				Detail: map[string]string{"to": to, "approval": a.ID.String()}})
		}}
}

// Propose asks another person to close an operation by hand, or to leave it to the watch again.
func (w *Watch) Propose(ctx context.Context, db pg.Beginner, desk *approve.Desk, operation string, off bool,
	reason string) (approve.Approval, error) {
	var out approve.Approval
	err := pg.InTx(ctx, db, func(tx pgx.Tx) (err error) {
		out, err = desk.Propose(ctx, tx, approve.Proposal{Action: ActionSwitch, ObjectType: "rail", ObjectID: operation,
			Payload: change{Off: off}, Reason: reason})
		if err == nil && !slices.Contains(w.Operations, operation) {
			return ErrUnknown // only who may propose learns which there are
		}
		return err
	})
	return out, err
}
