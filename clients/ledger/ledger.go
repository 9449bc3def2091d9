// Package ledger says what an answer of the ledger means. It owns that one decision for every service that posts: a transaction is
// posted, or refused with a code, or its outcome is unknown, and nothing else is an outcome.
//
// Only an item of a 200 answer under the same reference decides. Everything else is unknown, a lost connection as well as 400, 409, 429
// or 503: an earlier request with this reference may have posted, whatever this answer says. Unknown is settled by sending the same
// transaction again under the same reference, until the answer is an outcome.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	"github.com/sendtip/sendtip/kit/call"
)

// defaultTimeout bounds one call; the ledger gives up on a batch before that.
const defaultTimeout = 5 * time.Second

// codeReused is the one refusal that says nothing about the reference's own transaction.
const codeReused = "reference_reused"

// ErrReused is in an unknown answer when the reference is known with another body: a fault of the caller, who must send what it sent first.
// A person must look.
var ErrReused = errors.New("the reference is known with another body")

var (
	errOther     = errors.New("the answer is for something else")
	errNoOutcome = errors.New("the answer is no outcome")
)

// Answer is what the ledger says about one transaction. The zero value is unknown.
type Answer struct {
	transactionID uuid.UUID
	holdID        uuid.UUID
	code          string
	cause         error
}

// Posted is the answer that a transaction is posted.
func Posted(transactionID uuid.UUID) Answer { return Answer{transactionID: transactionID} }

// Refused is the answer that a transaction is refused, with the ledger's code.
func Refused(code string) Answer { return Answer{code: code} }

// Unknown is the answer that nobody knows, and why.
func Unknown(cause error) Answer { return Answer{cause: cause} }

// IsPosted says whether the money has moved; TransactionID is then the ledger's.
func (a Answer) IsPosted() bool { return a.transactionID != uuid.Nil }

// IsRefused says whether the money never moves under this reference; Code is then the reason.
func (a Answer) IsRefused() bool { return a.code != "" && !a.IsPosted() }

// IsUnknown says whether the same transaction must be sent again; Err then says why.
func (a Answer) IsUnknown() bool { return !a.IsPosted() && !a.IsRefused() }

// TransactionID is the ledger's transaction, if it is posted.
func (a Answer) TransactionID() uuid.UUID { return a.transactionID }

// HoldID is the hold that the transaction made, if it is posted and made one.
func (a Answer) HoldID() uuid.UUID { return a.holdID }

// Code is the reason of a refusal, as the contract lists them.
func (a Answer) Code() string { return a.code }

// Err is nil unless the outcome is unknown.
func (a Answer) Err() error {
	if a.IsUnknown() && a.cause == nil {
		return errNoOutcome
	}
	return a.cause
}

// Client posts to the ledger. It is safe for concurrent use.
type Client struct {
	api     transactionsclient.ClientWithResponsesInterface
	timeout time.Duration
}

// New returns a client. timeout bounds one call; zero means 5 s.
func New(api transactionsclient.ClientWithResponsesInterface, timeout time.Duration) *Client {
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return &Client{api: api, timeout: timeout}
}

// Post sends one transaction and says what the answer means.
func (c *Client) Post(ctx context.Context, r transactionsclient.LedgerRequest) Answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err := c.api.PostTransactionsWithResponse(ctx, transactionsclient.PostTransactionsRequest{
		Transactions: []transactionsclient.LedgerRequest{r}})
	if err != nil {
		return unknown(r, err)
	}
	if answer.JSON200 == nil {
		return unknown(r, call.Problem(answer.StatusCode(), answer.Body))
	}
	if len(answer.JSON200.Outcomes) != 1 || answer.JSON200.Outcomes[0].Reference != r.Reference {
		return unknown(r, errOther)
	}
	return read(r, answer.JSON200.Outcomes[0])
}

// read takes an outcome for what it says if it says all of it.
func read(r transactionsclient.LedgerRequest, o transactionsclient.Outcome) Answer {
	switch o.Status {
	case transactionsclient.OutcomeStatusPosted:
		if o.TransactionID != nil && *o.TransactionID != uuid.Nil {
			a := Posted(*o.TransactionID)
			if o.HoldID != nil {
				a.holdID = *o.HoldID
			}
			return a
		}
	case transactionsclient.OutcomeStatusRefused:
		if o.Code != nil && *o.Code == codeReused {
			return unknown(r, ErrReused)
		}
		if o.Code != nil && *o.Code != "" {
			return Refused(*o.Code)
		}
	}
	return unknown(r, errNoOutcome)
}

func unknown(r transactionsclient.LedgerRequest, cause error) Answer {
	return Unknown(fmt.Errorf("post %s: %w", r.Type, cause))
}
