// Package approve is the one maker-checker: a change that one person proposes and another decides. The request is a row of the service's
// own database; approving it and making the change are one transaction, so a crash leaves both or neither. What is proposed and why is
// sealed (people write names into such fields); audit and events carry ids.
package approve

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
)

// Life is how long a request waits for its decision.
const Life = 7 * 24 * time.Hour

// States of a request. Only Open ever changes.
const (
	Open      = "open"
	Approved  = "approved"
	Rejected  = "rejected"
	Withdrawn = "withdrawn" // by its maker
	Expired   = "expired"
)

// Refusals.
var (
	ErrSamePerson = fault.New(fault.Forbidden, "approval_same_person", "Another person has to approve what you proposed.")
	ErrOwnRecord  = fault.New(fault.Forbidden, "own_record", "You cannot decide on your own record.")
	ErrChanged    = fault.New(fault.Conflict, "approval_changed", "This is not what you were shown; read the request again.")
	ErrDecided    = fault.New(fault.Conflict, "approval_decided", "This request has already been decided.")
	ErrExpired    = fault.New(fault.Conflict, "approval_expired", "This request has expired; propose the change again.")
	ErrReason     = fault.ErrInvalid.WithField("/reason", "reason", "The reason must say something, in at most 300 characters.")
	ErrWaiting    = fault.New(fault.Conflict, "approval_waiting", "The same change is already waiting for approval.")
)

// Action is a kind of change.
type Action struct {
	Name    string // stable, as stored: role.grant
	Propose string // the maker's scope
	Approve string // the checker's scope
	// About is the user whom the change is about, who neither approves nor rejects it; nil: it is about nobody.
	About func(a Approval) (uuid.UUID, error)
	// Apply makes the change, in the transaction that approves it; the request is marked approved before. A refusal is the checker's answer
	// and leaves the request open: Apply judges the state of now, not that of the proposal.
	Apply func(ctx context.Context, tx pgx.Tx, a Approval) error
}

// about says whether the change is about a user. Of a request that does not say whom, it is everybody: nobody decides it.
func (act Action) about(a Approval, user uuid.UUID) bool {
	if act.About == nil {
		return false
	}
	whom, err := act.About(a)
	return err != nil || whom == user
}

// Approval is a request for a change, opened.
type Approval struct {
	ID                   uuid.UUID
	Action               string
	ObjectType, ObjectID string
	Payload              json.RawMessage
	// Digest stands for action, object and payload: the checker hands back that of what was shown.
	Digest    string
	Reason    string
	Maker     uuid.UUID
	MadeAt    time.Time
	ExpiresAt time.Time
	State     string
	Checker   *uuid.UUID
	DecidedAt *time.Time
}

// Decode fills v with the payload.
func (a Approval) Decode(v any) error {
	if err := json.Unmarshal(a.Payload, v); err != nil {
		return fmt.Errorf("decode payload of approval %s: the stored text does not fit %T", a.ID, v) // the cause would show its content
	}
	return nil
}

// Config is what a desk needs of its service.
type Config struct {
	Service string // name: the topic and the types of the events carry it
	Sealer  *seal.Sealer
	Now     func() time.Time
	Actions []Action
}

// Desk takes and decides the requests of one service. It is safe for concurrent use.
type Desk struct {
	Config
	pages   *page.Pager
	actions map[string]Action
}

// New makes a service's desk.
func New(c Config) *Desk {
	d := &Desk{Config: c, pages: page.New(c.Sealer), actions: map[string]Action{}}
	for _, a := range c.Actions {
		d.actions[a.Name] = a
	}
	return d
}

// Proposal is a change that somebody asks for.
type Proposal struct {
	Action               string
	ObjectType, ObjectID string
	Payload              any    // JSON; what the checker is shown and Apply gets
	Reason               string // in the maker's words
}

// Propose stores a request in the caller's transaction, which holds whatever judged the proposal. It answers ErrWaiting when the same
// action is open for the object.
func (d *Desk) Propose(ctx context.Context, tx pgx.Tx, p Proposal) (Approval, error) {
	action, known := d.actions[p.Action]
	if !known {
		return Approval{}, fmt.Errorf("approve: no action %q", p.Action)
	}
	maker, err := person(ctx, action.Propose)
	if err != nil {
		return Approval{}, err
	}
	if err := CheckReason(p.Reason); err != nil {
		return Approval{}, err
	}
	payload, err := json.Marshal(p.Payload)
	if err != nil {
		return Approval{}, fmt.Errorf("encode proposal: %w", err)
	}
	now := d.Now()
	if _, err := d.expire(ctx, tx, now, "action = $2 AND object_id = $3", p.Action, p.ObjectID); err != nil {
		return Approval{}, err
	}
	a := Approval{ID: uuid.Must(uuid.NewV7()), Action: p.Action, ObjectType: p.ObjectType, ObjectID: p.ObjectID, Payload: payload,
		Reason: p.Reason, Maker: maker, MadeAt: now, ExpiresAt: now.Add(Life), State: Open}
	a.Digest = digest(d.Sealer.Derive(digestPurpose), a)
	if err := d.insert(ctx, tx, a); err != nil {
		return Approval{}, err
	}
	return a, d.tell(ctx, tx, a, "requested")
}

func (d *Desk) insert(ctx context.Context, tx pgx.Tx, a Approval) error {
	payload, err := d.Sealer.Seal(payloadPurpose+a.ID.String(), a.Payload)
	if err != nil {
		return fmt.Errorf("seal proposal: %w", err)
	}
	reason, err := d.Sealer.Seal(reasonPurpose+a.ID.String(), []byte(a.Reason))
	if err != nil {
		return fmt.Errorf("seal reason: %w", err)
	}
	tag, err := tx.Exec(ctx, `INSERT INTO approvals (id, action, object_type, object_id, payload_sealed, digest, reason_sealed, maker,
			made_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (action, object_id) WHERE state = 'open' DO NOTHING`,
		a.ID, a.Action, a.ObjectType, a.ObjectID, payload, a.Digest, reason, a.Maker, a.MadeAt, a.ExpiresAt)
	if err != nil {
		return fmt.Errorf("insert approval: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrWaiting
	}
	return nil
}

// Approve makes the change that a request asks for. digest is that of the request as the checker was shown it. The same checker's repeated
// call is answered again and changes nothing.
func (d *Desk) Approve(ctx context.Context, db pg.Beginner, id uuid.UUID, shown string) (Approval, error) {
	if _, err := d.visible(ctx); err != nil { // who has no part in approvals does not learn which exist
		return Approval{}, err
	}
	var out Approval
	err := pg.InTx(ctx, db, func(tx pgx.Tx) error {
		now := d.Now()
		a, action, err := d.lock(ctx, tx, id, now)
		if err != nil {
			return err
		}
		checker, err := person(ctx, action.Approve)
		if err != nil {
			return err
		}
		switch {
		case a.State == Approved && *a.Checker == checker:
			out = a
			return nil
		case a.Maker == checker:
			return ErrSamePerson
		case action.about(a, checker):
			return ErrOwnRecord
		case a.State == Expired:
			return ErrExpired
		case a.State != Open:
			return ErrDecided
		case shown != a.Digest || !d.genuine(a):
			return ErrChanged
		}
		if out, err = d.close(ctx, tx, decision{a, Approved, &checker, nil, now}); err != nil {
			return err
		}
		return action.Apply(ctx, tx, out)
	})
	return out, err
}

// Reject ends a request without the change: by its maker it is withdrawn, by another person with the checker's scope rejected. Repeating it
// is harmless.
func (d *Desk) Reject(ctx context.Context, db pg.Beginner, id uuid.UUID, words string) (Approval, error) {
	if err := CheckReason(words); err != nil {
		return Approval{}, err
	}
	if _, err := d.visible(ctx); err != nil { // who has no part in approvals does not learn which exist
		return Approval{}, err
	}
	var out Approval
	err := pg.InTx(ctx, db, func(tx pgx.Tx) error {
		now := d.Now()
		a, action, err := d.lock(ctx, tx, id, now)
		if err != nil {
			return err
		}
		state, scope := Rejected, action.Approve
		if who, ok := auth.From(ctx).UserID(); ok && who == a.Maker {
			state, scope = Withdrawn, action.Propose
		}
		who, err := person(ctx, scope)
		if err != nil {
			return err
		}
		switch {
		case state == Rejected && action.about(a, who):
			return ErrOwnRecord
		case a.State == state && (state == Withdrawn || *a.Checker == who):
			out = a
			return nil
		case a.State == Expired:
			return ErrExpired
		case a.State != Open:
			return ErrDecided
		}
		sealed, err := d.Sealer.Seal(decisionPurpose+a.ID.String(), []byte(words))
		if err != nil {
			return fmt.Errorf("seal decision: %w", err)
		}
		checker := &who
		if state == Withdrawn {
			checker = nil
		}
		out, err = d.close(ctx, tx, decision{a, state, checker, sealed, now})
		return err
	})
	return out, err
}

// decision is the end of a request.
type decision struct {
	of      Approval
	state   string
	checker *uuid.UUID
	words   []byte // sealed
	at      time.Time
}

func (d *Desk) close(ctx context.Context, tx pgx.Tx, end decision) (Approval, error) {
	a := end.of
	if _, err := tx.Exec(ctx, "UPDATE approvals SET state = $2, checker = $3, decided_at = $4, decision_sealed = $5 WHERE id = $1",
		a.ID, end.state, end.checker, end.at, end.words); err != nil {
		return a, fmt.Errorf("decide approval: %w", err)
	}
	a.State, a.Checker, a.DecidedAt = end.state, end.checker, &end.at
	return a, d.tell(ctx, tx, a, end.state)
}

// visible are the actions that the caller may propose or approve.
func (d *Desk) visible(ctx context.Context) ([]string, error) {
	p := auth.From(ctx)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(d.actions)), func(name string) bool {
		return !p.Has(d.actions[name].Propose) && !p.Has(d.actions[name].Approve)
	})
	if _, ok := p.UserID(); !ok || p.Act != "" || len(names) == 0 {
		return nil, fault.ErrForbidden
	}
	return names, nil
}

// person is the user who asks, if nobody asks on their behalf and they have the scope.
func person(ctx context.Context, scope string) (uuid.UUID, error) {
	if err := auth.Require(ctx, scope); err != nil {
		return uuid.Nil, err
	}
	id, ok := auth.From(ctx).UserID()
	if !ok || auth.From(ctx).Act != "" {
		return uuid.Nil, fault.ErrForbidden
	}
	return id, nil
}

// CheckReason refuses words that say nothing, or that a reader may take for others: fewer than three letters or digits, more than 300
// characters, control characters and those that turn the direction of writing.
func CheckReason(words string) error {
	said := 0
	for _, r := range words {
		if unicode.Is(unicode.C, r) || r == utf8.RuneError {
			return ErrReason
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			said++
		}
	}
	if said < 3 || utf8.RuneCountInString(words) > 300 {
		return ErrReason
	}
	return nil
}

// change is the payload of the events; openapi/events.yaml has it for each service.
type change struct {
	ApprovalID uuid.UUID `json:"approval_id"`
	Action     string    `json:"action"`
	ObjectType string    `json:"object_type"`
	ObjectID   string    `json:"object_id"`
	State      string    `json:"state"`
}

// tell writes the audit row and the event of what became of a request.
func (d *Desk) tell(ctx context.Context, tx pgx.Tx, a Approval, what string) error {
	if err := audit.Record(ctx, tx, d.Now(), audit.Entry{Action: "approval." + what, ObjectType: "approval", ObjectID: a.ID.String(),
		Detail: map[string]string{"action": a.Action, a.ObjectType: a.ObjectID}}); err != nil {
		return err
	}
	kind := d.Service + ".approval_decided"
	if a.State == Open {
		kind = d.Service + ".approval_requested"
	}
	e, err := event.New(event.TopicPrefix+d.Service+".v1", kind, a.ID.String(), d.Now(),
		change{ApprovalID: a.ID, Action: a.Action, ObjectType: a.ObjectType, ObjectID: a.ObjectID, State: a.State})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, e)
}
