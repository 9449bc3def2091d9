package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/events"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/providers/safaricom"
)

const (
	// funds of each customer and the amount of each transfer, in minor units of KES.
	fundsMinor    = 40_000_000
	transferMinor = 20_000
	atOnce        = 16 // requests at a time during preparation
)

// customer has an open wallet with money, and an access token.
type customer struct {
	user, session, wallet uuid.UUID
	header                http.Header
}

// customers joins n new customers: the event of their verified identity makes wallet ask user and open their wallets by its real path, and
// the ledger funds them from the paybill account. Only their registration is left out: user's rows are written as it leaves them.
func (w *world) customers(ctx context.Context, n int) ([]customer, error) {
	out := make([]customer, n)
	list := make([]event.Event, n)
	for i := range out {
		out[i].user, out[i].session = uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		e, err := event.New("sendtip.user.v1", "user.kyc_verified", out[i].user.String(), time.Now(),
			events.UserKycVerified{UserID: out[i].user, Tier: 2, Country: safaricom.Country, Version: 1})
		if err != nil {
			return nil, err
		}
		list[i] = e
		token, err := w.sign.access(out[i])
		if err != nil {
			return nil, err
		}
		out[i].header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	}
	if err := w.register(ctx, out); err != nil {
		return nil, err
	}
	owner, err := w.p.Broker("user") // only user may say so
	if err != nil {
		return nil, err
	}
	publisher := event.NewPublisher(owner)
	defer func() { _ = publisher.Close() }()
	if err := publisher.Publish(ctx, list); err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	err = poll(ctx, "the opening of all wallets", time.Minute, func() (bool, error) {
		open, err := w.number(ctx, "wallet", `SELECT count(*) FROM wallets WHERE status = 'open' AND currency = 'KES'`)
		return open >= int64(n), err
	})
	if err != nil {
		return nil, err
	}
	if err := w.findWallets(ctx, out); err != nil {
		return nil, err
	}
	return out, w.fund(ctx, out)
}

// register writes the rows of verified customers into user's database.
func (w *world) register(ctx context.Context, all []customer) error {
	text, err := w.p.Keys().Read(keys.Of("user", keys.KEK))
	if err != nil {
		return err
	}
	kek, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("read user's key: %w", err)
	}
	sealer, err := seal.New(kek)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for i, c := range all {
		phone := fmt.Sprintf("%s%08d", safaricom.MobilePrefix, i)
		sealed, err := sealer.Seal("user.phone:"+c.user.String(), []byte(phone))
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO users (id, phone_sealed, phone_index, country, language, role, status, kyc_status, tier, pin_sealed,
				created_at, updated_at)
			VALUES ($1, $2, $3, $4, 'en', 'customer', 'active', 'verified', 2, '', now(), now())`,
			c.user, sealed, sealer.Index("phone", phone), safaricom.Country)
	}
	if err := w.admin["user"].SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("register customers: %w", err)
	}
	return nil
}

func (w *world) findWallets(ctx context.Context, all []customer) error {
	rows, err := w.admin["wallet"].Query(ctx, `SELECT user_id, id FROM wallets WHERE currency = 'KES'`)
	if err != nil {
		return fmt.Errorf("list wallets: %w", err)
	}
	defer rows.Close()
	wallets := map[uuid.UUID]uuid.UUID{}
	for rows.Next() {
		var user, wallet uuid.UUID
		if err := rows.Scan(&user, &wallet); err != nil {
			return fmt.Errorf("list wallets: %w", err)
		}
		wallets[user] = wallet
	}
	for i := range all {
		all[i].wallet = wallets[all[i].user]
		if all[i].wallet == uuid.Nil {
			return fmt.Errorf("a customer has no wallet")
		}
	}
	return rows.Err()
}

// fund posts each customer's money as wallet would, through the internal listener.
func (w *world) fund(ctx context.Context, all []customer) error {
	key, err := w.p.Keys().Read(keys.Of("wallet", keys.Service))
	if err != nil {
		return err
	}
	ledger, err := transactionsclient.NewClientWithResponses(w.p.InternalURL(), transactionsclient.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			r.Header.Set(auth.ServiceKeyHeader, key)
			return nil
		}))
	if err != nil {
		return err
	}
	for start := 0; start < len(all); start += 100 {
		var list []transactionsclient.LedgerRequest
		for _, c := range all[start:min(start+100, len(all))] {
			list = append(list, transactionsclient.LedgerRequest{Reference: c.wallet.String() + ":bench",
				Action: transactionsclient.LedgerActionPost,
				Type:   "deposit", Channel: "mpesa", Postings: []transactionsclient.PostingRequest{{Source: "rail.mpesa.paybill.KES",
					Destination: c.wallet.String(), Amount: common.PositiveMoney{Amount: fundsMinor, Currency: "KES"}}}})
		}
		resp, err := ledger.PostTransactionsWithResponse(ctx, transactionsclient.PostTransactionsRequest{Transactions: list})
		if err != nil {
			return fmt.Errorf("fund: %w", err)
		}
		if resp.JSON200 == nil {
			return fmt.Errorf("fund: %d %s", resp.StatusCode(), resp.Body)
		}
		for _, o := range resp.JSON200.Outcomes {
			if o.Status != transactionsclient.OutcomeStatusPosted {
				return fmt.Errorf("fund: %v", o.Code)
			}
		}
	}
	return nil
}

// quoteOrder asks for the price of the n-th transfer: each customer in turn sends to one further on.
func (w *world) quoteOrder(all []customer, n int) (customer, order) {
	from := all[n%len(all)]
	to := all[(n%len(all)+1+n/len(all)%(len(all)-1))%len(all)]
	return from, order{method: http.MethodPost, url: w.p.PublicURL() + "/v1/transfer-quotes", header: from.header, body: fmt.Sprintf(
		`{"wallet_id":%q,"recipient_wallet_id":%q,"amount":{"amount":%d,"currency":"KES"}}`, from.wallet, to.wallet, transferMinor)}
}

// transfers prepares n transfers: a quote through the API, and the approval that the PIN would have given.
func (w *world) transfers(ctx context.Context, all []customer, n int) ([]order, error) {
	out := make([]order, n)
	c := client(atOnce)
	defer c.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range out {
		group.Go(func() error {
			from, ask := w.quoteOrder(all, i)
			status, body := send(ctx, c, ask)
			if status != http.StatusCreated {
				return fmt.Errorf("quote: %d %s", status, body)
			}
			var quote struct {
				ID uuid.UUID `json:"id"`
			}
			if err := json.NewDecoder(bytes.NewReader(body)).Decode(&quote); err != nil {
				return fmt.Errorf("quote: %w", err)
			}
			approval, err := w.sign.approval(from, quote.ID)
			if err != nil {
				return err
			}
			header := from.header.Clone()
			header["Step-Up-Token"], header["Idempotency-Key"] = []string{approval}, []string{uuid.NewString()}
			out[i] = order{method: http.MethodPost, url: w.p.PublicURL() + "/v1/transfers", header: header,
				body: fmt.Sprintf(`{"quote_id":%q}`, quote.ID)}
			return nil
		})
	}
	return out, group.Wait()
}
