package testworld

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/common"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
)

// Wallet is a scripted wallet service: owners, one price, and reservations that it remembers.
type Wallet struct {
	walletapi.StrictServerInterface

	mu     sync.Mutex
	owners map[uuid.UUID]walletapi.WalletOwner
	states map[uuid.UUID]string
	refuse string // code of the next reservations
	down   bool
}

func newWallet() *Wallet {
	return &Wallet{owners: map[uuid.UUID]walletapi.WalletOwner{}, states: map[uuid.UUID]string{}}
}

func (a *Wallet) script(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		down := a.down
		a.mu.Unlock()
		if down {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// Own gives a person a wallet.
func (a *Wallet) Own(p Person) {
	a.Change(p, func(*walletapi.WalletOwner) {})
}

// Change changes what the service says about a person's wallet.
func (a *Wallet) Change(p Person, change func(o *walletapi.WalletOwner)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := walletapi.WalletOwner{WalletID: p.WalletID, UserID: p.UserID, Currency: "KES", Status: "open", CustomerStatus: "active", Tier: 1,
		Country: "KE"}
	change(&o)
	a.owners[p.WalletID] = o
}

// Refuse makes the next reservations end in a refusal; "" ends that.
func (a *Wallet) Refuse(code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = code
}

// Down breaks all connections, or no more.
func (a *Wallet) Down(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// Limit is the state of a reservation: reserved, committed, released, refused, or "" when it was never asked for.
func (a *Wallet) Limit(id uuid.UUID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.states[id]
}

// GetWalletOwner answers GET /v1/internal/wallets/{wallet_id}.
func (a *Wallet) GetWalletOwner(_ context.Context, r walletapi.GetWalletOwnerRequestObject) (walletapi.GetWalletOwnerResponseObject,
	error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, ok := a.owners[r.WalletID]
	if !ok {
		return walletapi.GetWalletOwner404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return walletapi.GetWalletOwner200JSONResponse(o), nil
}

// PriceOperation answers POST /v1/internal/prices: a fee of KES 20 and KES 3 of duty.
func (a *Wallet) PriceOperation(_ context.Context, r walletapi.PriceOperationRequestObject) (walletapi.PriceOperationResponseObject,
	error) {
	return walletapi.PriceOperation200JSONResponse{Fee: common.Money{Amount: 2000, Currency: r.Body.Amount.Currency},
		Excise: common.Money{Amount: 300, Currency: r.Body.Amount.Currency}, TariffVersion: "20.1"}, nil
}

// PutLimitReservation answers PUT /v1/internal/limit-reservations/{reservation_id}.
func (a *Wallet) PutLimitReservation(_ context.Context,
	r walletapi.PutLimitReservationRequestObject) (walletapi.PutLimitReservationResponseObject, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch state := a.states[r.ReservationID]; {
	case state == "released":
		return walletapi.PutLimitReservation409ApplicationProblemPlusJSONResponse{
			ConflictApplicationProblemPlusJSONResponse: common.ConflictApplicationProblemPlusJSONResponse(problem(409, "reservation_released"))}, nil
	case state == "refused" || state == "" && a.refuse != "":
		a.states[r.ReservationID] = "refused"
		return walletapi.PutLimitReservation422ApplicationProblemPlusJSONResponse{
			UnprocessableApplicationProblemPlusJSONResponse: common.UnprocessableApplicationProblemPlusJSONResponse(problem(422, a.refuse))}, nil
	case state == "":
		a.states[r.ReservationID] = "reserved"
	}
	return walletapi.PutLimitReservation200JSONResponse{ReservationID: r.ReservationID, UserID: r.Body.UserID, Kind: r.Body.Kind,
		Amount: common.Money(r.Body.Amount), Status: a.states[r.ReservationID], CreatedAt: time.Now().UTC()}, nil
}

// CommitLimitReservation answers POST …/commitment.
func (a *Wallet) CommitLimitReservation(_ context.Context,
	r walletapi.CommitLimitReservationRequestObject) (walletapi.CommitLimitReservationResponseObject, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.states[r.ReservationID] = "committed"
	return walletapi.CommitLimitReservation200JSONResponse{ReservationID: r.ReservationID, UserID: uuid.Must(uuid.NewV7()), Kind: "withdrawal",
		Amount: common.Money{Amount: 1, Currency: "KES"}, Status: "committed", CreatedAt: time.Now().UTC()}, nil
}

// ReleaseLimitReservation answers POST …/release.
func (a *Wallet) ReleaseLimitReservation(_ context.Context,
	r walletapi.ReleaseLimitReservationRequestObject) (walletapi.ReleaseLimitReservationResponseObject, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.states[r.ReservationID] == "committed" {
		return walletapi.ReleaseLimitReservation409ApplicationProblemPlusJSONResponse{
				ConflictApplicationProblemPlusJSONResponse: common.ConflictApplicationProblemPlusJSONResponse(problem(409, "reservation_committed"))},
			nil
	}
	if a.states[r.ReservationID] != "refused" {
		a.states[r.ReservationID] = "released"
	}
	return walletapi.ReleaseLimitReservation204Response{}, nil
}

// Users is a scripted user service: everybody has the same number.
type Users struct {
	userapi.StrictServerInterface

	mu      sync.Mutex
	nobody  bool
	review  bool
	changed *time.Time
}

// Own is the number of every customer.
const Own = "+254712345678"

// Forget makes all numbers be nobody's, and all customers be without one.
func (u *Users) Forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.nobody = true
}

// Review makes every number one that changes hands.
func (u *Users) Review() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.review = true
}

// Changed makes everybody's credentials have changed at a time.
func (u *Users) Changed(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changed = &at
}

// GetStanding answers GET /v1/internal/users/{user_id}/standing.
func (u *Users) GetStanding(_ context.Context, r userapi.GetStandingRequestObject) (userapi.GetStandingResponseObject, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return userapi.GetStanding200JSONResponse{UserID: r.UserID, Status: "active", Tier: 1, Country: "KE", Version: 1,
		CredentialsChangedAt: u.changed}, nil
}

// GetContacts answers GET /v1/internal/users/{user_id}/contacts.
func (u *Users) GetContacts(context.Context, userapi.GetContactsRequestObject) (userapi.GetContactsResponseObject, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.nobody {
		return userapi.GetContacts200JSONResponse{Language: "en"}, nil
	}
	phone := Own
	return userapi.GetContacts200JSONResponse{Phone: &phone, Language: "en"}, nil
}

// LookupRecipient answers POST /v1/internal/recipient-lookups.
func (u *Users) LookupRecipient(_ context.Context, r userapi.LookupRecipientRequestObject) (userapi.LookupRecipientResponseObject, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.review {
		return userapi.LookupRecipient404ApplicationProblemPlusJSONResponse{
			NotFoundApplicationProblemPlusJSONResponse: common.NotFoundApplicationProblemPlusJSONResponse(problem(http.StatusNotFound,
				"recipient_in_review"))}, nil
	}
	if u.nobody || r.Body.Phone != Own {
		return userapi.LookupRecipient404ApplicationProblemPlusJSONResponse{NotFoundApplicationProblemPlusJSONResponse: notFound()}, nil
	}
	return userapi.LookupRecipient200JSONResponse{UserID: uuid.Must(uuid.NewV7()), MaskedName: "Amina W.", Status: "active", Tier: 1}, nil
}

func problem(status int32, code string) common.Problem {
	return common.Problem{Type: "https://docs.sendtip.dev/problems/" + code, Title: "Refused", Status: status, Code: code, RequestID: "r"}
}

func notFound() common.NotFoundApplicationProblemPlusJSONResponse {
	return common.NotFoundApplicationProblemPlusJSONResponse(problem(http.StatusNotFound, "not_found"))
}
