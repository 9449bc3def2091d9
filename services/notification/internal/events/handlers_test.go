package events_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/common"
	payload "github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"
	notificationsql "github.com/sendtip/sendtip/sql/notification"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/events"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

type world struct {
	*servicetest.World
	handlers map[string]event.Handler
	together event.BatchHandler
}

func setup(t *testing.T) *world {
	t.Helper()
	w := servicetest.New(t, "notification", notificationsql.Migrations(), jobs.Queues)
	a := app.New(app.Deps{Parts: w.Parts})
	jobs.Register(w.Workers, a)
	return &world{World: w, handlers: events.Handlers(a), together: events.Together(a)}
}

type message struct {
	Template, Channel string
	Recipient         uuid.UUID
	User              *uuid.UUID
	Params            domain.Params
}

func (w *world) messages(t *testing.T) []message {
	t.Helper()
	rows, err := w.Pool.Query(t.Context(), "SELECT template, channel, recipient_id, user_id, params FROM notifications ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var out []message
	var m message
	var params []byte
	_, err = pgx.ForEachRow(rows, []any{&m.Template, &m.Channel, &m.Recipient, &m.User, &params}, func() error {
		m.Params = domain.Params{}
		out = append(out, m)
		return json.Unmarshal(params, &out[len(out)-1].Params)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) queued(t *testing.T, queue string) int {
	t.Helper()
	var n int
	if err := w.Pool.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE kind = 'notification.send_message' AND queue = $1",
		queue).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	alice     = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000001")
	bob       = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000002")
	challenge = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000003")
	object    = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000004")
	wallet    = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-000000000005")
	receipt   = "SKL1A2B3C4"
)

func kes(minor int64) common.Money { return common.Money{Amount: minor, Currency: "KES"} }

func paid(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }

func TestHandlers(t *testing.T) {
	t.Parallel()
	user, walletTopic, bankingTopic := "sendtip.user.v1", "sendtip.wallet.v1", "sendtip.banking.v1"
	id, until := object.String(), time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	ended := payload.BankingWithdrawalFailed{WithdrawalID: object, WalletID: wallet, UserID: alice, Rail: "mpesa", Amount: kes(100000),
		ReasonCode: "r"}
	told := func(template string) message {
		return message{template, "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(100000), ReasonCode: "r"}}
	}
	for eventType, c := range map[string]struct {
		topic string
		data  any
		want  []message
	}{
		"user.otp_requested": {user, payload.UserOtpRequested{ChallengeID: challenge, Purpose: "login"},
			[]message{{"otp", "sms", challenge, nil, domain.Params{Purpose: "login"}}}},
		"user.kyc_verified": {user, payload.UserKycVerified{UserID: alice, Tier: 2, Country: "KE", Version: 3},
			[]message{{"kyc_verified", "sms", alice, &alice, domain.Params{Tier: 2}}}},
		"user.kyc_rejected": {user, payload.UserKycRejected{UserID: alice, KycID: object, ReasonCode: "face_mismatch", Version: 3},
			[]message{{"kyc_rejected", "sms", alice, &alice, domain.Params{Reference: id, ReasonCode: "face_mismatch"}}}},
		"user.kyc_review_needed": {user, payload.UserKycReviewNeeded{UserID: alice, KycID: object, Version: 3},
			[]message{{"kyc_review_needed", "sms", alice, &alice, domain.Params{Reference: id}}}},
		"user.number_change_started": {user, payload.UserNumberChangeStarted{UserID: alice, NumberChangeID: object},
			[]message{{"number_changing", "sms", alice, &alice, domain.Params{Reference: id}}}},
		"user.number_change_ended": {user,
			payload.UserNumberChangeEnded{UserID: alice, NumberChangeID: object, State: "cancelled", ReasonCode: "customer"},
			[]message{{"number_kept", "sms", alice, &alice, domain.Params{Reference: id, ReasonCode: "customer"}}}},
		"user.number_changed": {user, payload.UserNumberChanged{UserID: alice, NumberChangeID: object, FormerNumberID: &wallet, Version: 3},
			[]message{{"number_changed", "sms", alice, &alice, domain.Params{Reference: id}},
				{"number_left", "sms", wallet, nil, domain.Params{Reference: id}}}},
		"user.number_claimed": {user, payload.UserNumberClaimed{UserID: alice, ClaimID: object, ReleaseAt: until, Version: 3},
			[]message{{"number_claimed", "sms", alice, &alice, domain.Params{Reference: id, Until: until}}}},
		"user.number_claim_disputed": {user, payload.UserNumberClaimDisputed{UserID: alice, ClaimID: object, ReasonCode: "rejected"},
			[]message{{"number_disputed", "sms", alice, &alice, domain.Params{Reference: id}}}},
		"user.number_claim_closed": {user,
			payload.UserNumberClaimClosed{UserID: alice, ClaimID: object, State: "released", ReasonCode: "silence", Version: 3},
			[]message{{"number_released", "sms", alice, &alice, domain.Params{Reference: id}}}},
		"user.recovery_started": {user, payload.UserRecoveryStarted{UserID: alice, RecoveryID: object},
			[]message{{"recovery_started", "sms", alice, &alice, domain.Params{Reference: id}}}},
		"user.recovery_ended": {user, payload.UserRecoveryEnded{UserID: alice, RecoveryID: object, State: "cancelled", ReasonCode: "fraud"},
			[]message{{"recovery_ended", "sms", alice, &alice, domain.Params{Reference: id, ReasonCode: "fraud"}}}},
		"user.recovered": {user, payload.UserRecovered{UserID: alice, RecoveryID: object, FormerNumberID: &wallet, Version: 3},
			[]message{{"recovered", "sms", alice, &alice, domain.Params{Reference: id}},
				{"number_left", "sms", wallet, nil, domain.Params{Reference: id}}}},
		"wallet.opened": {walletTopic, payload.WalletOpened{WalletID: wallet, UserID: alice, Currency: "KES"},
			[]message{{"wallet_opened", "sms", alice, &alice, domain.Params{Reference: wallet.String(), Currency: "KES"}}}},
		"wallet.topup_succeeded": {walletTopic,
			payload.WalletTopupSucceeded{TopupID: object, WalletID: wallet, UserID: alice, Amount: kes(25000), Receipt: &receipt},
			[]message{{"topup_succeeded", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(25000), Receipt: receipt}}}},
		"wallet.topup_failed": {walletTopic,
			payload.WalletTopupFailed{TopupID: object, WalletID: wallet, UserID: alice, Amount: kes(25000), ReasonCode: "cancelled"},
			[]message{{"topup_failed", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(25000), ReasonCode: "cancelled"}}}},
		"wallet.deposit_received": {walletTopic,
			payload.WalletDepositReceived{DepositID: object, WalletID: wallet, UserID: alice, Amount: kes(50000), Receipt: receipt},
			[]message{{"deposit_received", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(50000), Receipt: receipt}}}},
		"wallet.transfer_completed": {walletTopic, completed(bob),
			[]message{
				{"transfer_sent", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(100000), Fee: paid(2300), Excise: paid(345)}},
				{"transfer_received", "sms", bob, &bob, domain.Params{Reference: id, Amount: paid(100000)}},
			}},
		"wallet.request_created":  {walletTopic, asked, []message{askedOf("request_received", bob, alice)}},
		"wallet.request_reminded": {walletTopic, asked, []message{askedOf("request_reminded", bob, alice)}},
		"wallet.request_declined": {walletTopic, asked, []message{askedOf("request_declined", alice, bob)}},
		"wallet.request_expired":  {walletTopic, asked, []message{askedOf("request_expired", alice, bob)}},
		"wallet.transfer_failed": {walletTopic,
			payload.WalletTransferFailed{TransferID: object, SenderUserID: alice, SenderWalletID: wallet, Amount: kes(100000),
				ReasonCode: "insufficient_funds"},
			[]message{{"transfer_failed", "sms", alice, &alice,
				domain.Params{Reference: id, Amount: paid(100000), ReasonCode: "insufficient_funds"}}}},
		"banking.deposit_paid": {bankingTopic,
			payload.BankingDepositPaid{DepositID: object, WalletID: wallet, UserID: alice, Channel: "page",
				Amount: kes(100000), Fee: kes(1500), Excise: kes(225)},
			[]message{{"deposit_paid", "sms", alice, &alice,
				domain.Params{Reference: id, Amount: paid(100000), Fee: paid(1500), Excise: paid(225)}}}},
		"banking.deposit_failed": {bankingTopic, payload.BankingDepositFailed{DepositID: object, WalletID: wallet, UserID: alice,
			Channel: "page", Amount: kes(100000), ReasonCode: "payment_declined"},
			[]message{{"deposit_failed", "sms", alice, &alice,
				domain.Params{Reference: id, Amount: paid(100000), ReasonCode: "payment_declined"}}}},
		"banking.deposit_expired": {bankingTopic, payload.BankingDepositExpired{DepositID: object, WalletID: wallet, UserID: alice,
			Channel: "page", Amount: kes(100000)},
			[]message{{"deposit_expired", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(100000)}}}},
		"banking.withdrawal_paid": {bankingTopic,
			payload.BankingWithdrawalPaid{WithdrawalID: object, WalletID: wallet, UserID: alice, Rail: "mpesa",
				Amount: kes(100000), Fee: kes(1500), Excise: kes(225), Receipt: &receipt},
			[]message{{"withdrawal_paid", "sms", alice, &alice,
				domain.Params{Reference: id, Amount: paid(100000), Fee: paid(1500), Excise: paid(225), Receipt: receipt}}}},
		"banking.withdrawal_failed":    {bankingTopic, ended, []message{told("withdrawal_failed")}},
		"banking.withdrawal_cancelled": {bankingTopic, ended, []message{told("withdrawal_failed")}},
		"banking.withdrawal_returned":  {bankingTopic, ended, []message{told("withdrawal_returned")}},
		"banking.withdrawal_reversed":  {bankingTopic, ended, []message{told("withdrawal_returned")}},
		"banking.withdrawal_delayed": {bankingTopic, payload.BankingWithdrawalDelayed{WithdrawalID: object, WalletID: wallet, UserID: alice,
			Rail: "mpesa", Amount: kes(100000)},
			[]message{{"withdrawal_delayed", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(100000)}}}},
		"banking.withdrawal_in_doubt": {bankingTopic, payload.BankingWithdrawalInDoubt{WithdrawalID: object, WalletID: wallet, UserID: alice,
			Rail: "mpesa", Amount: kes(100000)},
			[]message{{"withdrawal_in_doubt", "sms", alice, &alice, domain.Params{Reference: id, Amount: paid(100000)}}}},
	} {
		t.Run(eventType, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			e := w.Event(c.topic, eventType, c.data)
			for range 2 { // the second delivery changes nothing
				if err := w.Deliver(w.handlers, e); err != nil {
					t.Fatal(err)
				}
			}
			got := w.messages(t)
			if len(got) != len(c.want) {
				t.Fatalf("messages are %+v", got)
			}
			for i, want := range c.want {
				if !equal(got[i], want) {
					t.Errorf("message is %+v, want %+v", got[i], want)
				}
			}
			queue, others := app.QueueMessages, app.QueueCodes
			if eventType == "user.otp_requested" {
				queue, others = others, queue
			}
			if w.queued(t, queue) != len(c.want) || w.queued(t, others) != 0 {
				t.Errorf("%d jobs in %s, %d in %s", w.queued(t, queue), queue, w.queued(t, others), others)
			}
		})
	}
}

// asked is a request of Alice to Bob.
var (
	untilThen = time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	asked     = payload.WalletRequestCreated{PaymentRequestID: object, RequesterUserID: alice, PayerUserID: bob, Amount: kes(50000),
		ExpiresAt: untilThen}
)

func askedOf(template string, to, other uuid.UUID) message {
	return message{template, "sms", to, &to, domain.Params{Reference: object.String(), Amount: paid(50000), Until: untilThen, OtherID: other}}
}

func completed(recipient uuid.UUID) payload.WalletTransferCompleted {
	return payload.WalletTransferCompleted{
		TransferID: object, SenderUserID: alice, RecipientUserID: recipient, SenderWalletID: wallet, RecipientWalletID: object,
		Amount: kes(100000), Fee: kes(2300), Excise: kes(345),
	}
}

func equal(a, b message) bool {
	sameUser := (a.User == nil) == (b.User == nil) && (a.User == nil || *a.User == *b.User)
	return sameUser && a.Template == b.Template && a.Channel == b.Channel && a.Recipient == b.Recipient && a.Params == b.Params
}

// Events that arrive together cause the messages that they cause alone: both sides of a transfer are told, each of two transfers, and
// one that pays an own wallet once.
func TestTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)
	batch := []event.Event{
		w.Event("sendtip.wallet.v1", "wallet.transfer_completed", completed(bob)),
		w.Event("sendtip.wallet.v1", "wallet.something_new", completed(bob)),
		w.Event("sendtip.user.v1", "user.otp_requested", payload.UserOtpRequested{ChallengeID: challenge, Purpose: "login"}),
		w.Event("sendtip.wallet.v1", "wallet.transfer_completed", completed(bob)),
		w.Event("sendtip.wallet.v1", "wallet.transfer_completed", completed(alice)),
	}
	for range 2 {
		if err := event.DispatchAll(t.Context(), w.Pool, w.Name, w.Now(), w.together, batch); err != nil {
			t.Fatal(err)
		}
	}
	told := map[string]int{}
	for _, m := range w.messages(t) {
		told[m.Template+" "+m.Recipient.String()]++
	}
	want := map[string]int{"transfer_sent " + alice.String(): 3, "transfer_received " + bob.String(): 2, "otp " + challenge.String(): 1}
	if !maps.Equal(told, want) || w.queued(t, app.QueueMessages) != 5 || w.queued(t, app.QueueCodes) != 1 {
		t.Errorf("told %v with %d and %d jobs, want %v", told, w.queued(t, app.QueueMessages), w.queued(t, app.QueueCodes), want)
	}
	var unserved int
	if err := w.Pool.QueryRow(t.Context(), `SELECT count(*) FROM notifications n WHERE NOT EXISTS
		(SELECT FROM river_job j WHERE j.args->>'notification_id' = n.id::text)`).Scan(&unserved); err != nil || unserved != 0 {
		t.Errorf("%d messages have no job of their own (%v)", unserved, err)
	}
}

// The inbox may be lost before the topic is (it is swept after 90 days): the row's own key still holds.
func TestHandlersWithoutInbox(t *testing.T) {
	t.Parallel()
	w := setup(t)
	e := w.Event("sendtip.wallet.v1", "wallet.transfer_completed", completed(bob))
	for range 2 {
		if err := w.Deliver(w.handlers, e); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Pool.Exec(t.Context(), "DELETE FROM inbox"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.messages(t); len(got) != 2 || w.queued(t, app.QueueMessages) != 2 {
		t.Errorf("%d messages, %d jobs", len(got), w.queued(t, app.QueueMessages))
	}
}

func TestTransferToAnOwnWallet(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if err := w.Deliver(w.handlers, w.Event("sendtip.wallet.v1", "wallet.transfer_completed", completed(alice))); err != nil {
		t.Fatal(err)
	}
	if got := w.messages(t); len(got) != 1 || got[0].Template != "transfer_sent" {
		t.Errorf("messages are %+v", got)
	}
}

func TestHandlersRefuse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	bitcoin := completed(bob)
	bitcoin.Fee.Currency = "BTC"
	tooLarge := completed(bob)
	tooLarge.Amount.Amount = money.Max + 1
	nobody := completed(uuid.Nil)
	for name, e := range map[string]event.Event{
		"not an object":    w.Event("sendtip.user.v1", "user.kyc_verified", []int{1}),
		"bad id":           w.Event("sendtip.user.v1", "user.kyc_verified", map[string]string{"user_id": "x"}),
		"no user":          w.Event("sendtip.user.v1", "user.kyc_verified", map[string]int{"tier": 1}),
		"no challenge":     w.Event("sendtip.user.v1", "user.otp_requested", map[string]string{"purpose": "login"}),
		"unknown currency": w.Event("sendtip.wallet.v1", "wallet.transfer_completed", bitcoin),
		"too large":        w.Event("sendtip.wallet.v1", "wallet.transfer_completed", tooLarge),
		"no recipient":     w.Event("sendtip.wallet.v1", "wallet.transfer_completed", nobody),
	} {
		if err := w.Deliver(w.handlers, e); !event.IsRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.messages(t); len(got) != 0 || w.queued(t, app.QueueMessages) != 0 {
		t.Errorf("refused events left %+v", got)
	}
}

func TestHandlersSkip(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, eventType := range []string{"user.registered", "user.status_changed", "wallet.something_new"} {
		if err := w.Deliver(w.handlers, w.Event("sendtip.user.v1", eventType, map[string]uuid.UUID{"user_id": alice})); err != nil {
			t.Errorf("%s: %v", eventType, err)
		}
	}
	if got := w.messages(t); len(got) != 0 {
		t.Errorf("messages are %+v", got)
	}
}

// A number that stays is told as such; an end that is new to this service is refused, not told wrongly.
func TestNumberClaimClosed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	closed := payload.UserNumberClaimClosed{UserID: alice, ClaimID: object, State: "kept", ReasonCode: "decided", Version: 4}
	if err := w.Deliver(w.handlers, w.Event("sendtip.user.v1", "user.number_claim_closed", closed)); err != nil {
		t.Fatal(err)
	}
	if got := w.messages(t); len(got) != 1 || got[0].Template != "number_confirmed" {
		t.Errorf("messages are %+v", got)
	}
	closed.State = "forgotten"
	if err := w.Deliver(w.handlers, w.Event("sendtip.user.v1", "user.number_claim_closed", closed)); !event.IsRefused(err) {
		t.Errorf("an unknown end: %v", err)
	}
}
