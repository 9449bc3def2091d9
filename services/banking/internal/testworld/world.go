// Package testworld is what surrounds the banking service in its own tests: a real database, a scripted ledger, wallet and user service on
// their generated interfaces (checked against their contracts), and a scripted M-Pesa. Only tests import it.
package testworld

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
	bankingsql "github.com/sendtip/sendtip/sql/banking"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/jobs"
)

// World is one test's surroundings.
type World struct {
	*servicetest.World

	App    *app.App
	Ledger *Ledger
	Wallet *Wallet
	Users  *Users
	Mpesa  *Mpesa
	Bank   *control.Client // of the sandbox, which is Paystack here
	Line   *Line           // to it

	t testing.TB
}

// New builds a world with an empty database.
func New(t testing.TB) *World {
	t.Helper()
	return On(t, servicetest.New(t, "banking", bankingsql.Migrations(), jobs.Queues))
}

// On is New with a database that there is.
func On(t testing.TB, base *servicetest.World) *World {
	t.Helper()
	w := &World{World: base, Ledger: newLedger(), Wallet: newWallet(),
		Users: &Users{}, Mpesa: newMpesa(t), t: t}
	peers := w.Peers(openapi.FS,
		servicetest.Peer{File: "transactions.yaml",
			Handler: w.Ledger.script(transactionsapi.HandlerFromMux(transactionsapi.NewStrictHandler(w.Ledger, nil), nil))},
		servicetest.Peer{File: "wallet.yaml",
			Handler: w.Wallet.script(walletapi.HandlerFromMux(walletapi.NewStrictHandler(w.Wallet, nil), nil))},
		servicetest.Peer{File: "user.yaml", Handler: userapi.HandlerFromMux(userapi.NewStrictHandler(w.Users, nil), nil)})
	ledger, err := transactionsclient.NewClientWithResponses(peers.GatewayURL(), transactionsclient.WithHTTPClient(peers))
	if err != nil {
		t.Fatal(err)
	}
	wallets, err := walletclient.NewClientWithResponses(peers.GatewayURL(), walletclient.WithHTTPClient(peers))
	if err != nil {
		t.Fatal(err)
	}
	users, err := userclient.NewClientWithResponses(peers.GatewayURL(), userclient.WithHTTPClient(peers))
	if err != nil {
		t.Fatal(err)
	}
	w.App = app.New(app.Deps{Parts: w.Parts, Ledger: ledger, Wallets: wallets, Users: users, PublicURL: "https://pay.example",
		Mpesa: daraja.New(daraja.Config{BaseURL: w.Mpesa.URL, ConsumerKey: "k", ConsumerSecret: "s", ShortCode: "600984", Initiator: "tester",
			InitiatorPassword: "p", Certificate: certificate(t), Now: w.Clock.Now,
			HTTP: &http.Client{Transport: w.Mpesa, Timeout: 10 * time.Second}}), Schedule: domain.Schedule{Speed: 1},
		Paystack: w.startPaystack(t), PaystackKeys: []string{PaystackKey}, EmailDomain: "deposits.example"})
	jobs.Register(w.Workers, w.App)
	return w
}

var (
	certificateOnce sync.Once
	certificatePEM  string
)

// certificate is one that stands for Safaricom's.
func certificate(t testing.TB) string {
	t.Helper()
	certificateOnce.Do(func() {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Error(err)
			return
		}
		template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}}
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
		if err != nil {
			t.Error(err)
			return
		}
		certificatePEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	})
	return certificatePEM
}

// KES is an amount in shillings.
func KES(shillings int64) money.Money { return money.Money{Amount: shillings * 100, Currency: "KES"} }

// Person is a customer with an open wallet in KES.
type Person struct{ UserID, WalletID uuid.UUID }

// Person makes a customer with money on the ledger.
func (w *World) Person(shillings int64) Person {
	w.t.Helper()
	p := Person{UserID: uuid.Must(uuid.NewV7()), WalletID: uuid.Must(uuid.NewV7())}
	w.Wallet.Own(p)
	w.Ledger.Set(p.WalletID.String(), shillings*100)
	return p
}

// As is a request of a person.
func (w *World) As(p Person) context.Context { return w.User(p.UserID) }

// Approve adds a step-up token for a quote.
func (w *World) Approve(ctx context.Context, quoteID uuid.UUID) context.Context {
	return w.ApproveHash(ctx, domain.ApprovalHash(quoteID))
}

// ApproveHash adds a step-up token for what has a hash.
func (w *World) ApproveHash(ctx context.Context, hash string) context.Context {
	p := auth.From(ctx)
	p.StepUp = &auth.StepUp{JTI: uuid.NewString(), Hash: hash, ExpiresAt: w.Now().Add(5 * time.Minute)}
	return auth.With(ctx, p)
}

// Exec changes rows behind the service's back.
func (w *World) Exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.DB.Pool.Exec(w.t.Context(), query, args...); err != nil {
		w.t.Fatal(err)
	}
}

// Known is a message of M-Pesa from one of its addresses; a context without it is a stranger's.
func Known(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Principal{Subject: "provider:banking-br", Source: auth.SourceKnown, Operation: "test"})
}

// Stored makes a withdrawal that nothing has happened to.
func (w *World) Stored(p Person, shillings int64) domain.Withdrawal {
	w.t.Helper()
	q, err := w.App.CreateWithdrawalQuote(w.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: KES(shillings)})
	if err != nil {
		w.t.Fatalf("quote: %v", err)
	}
	made, err := w.App.CreateWithdrawal(w.Approve(w.As(p), q.ID), app.WithdrawalInput{Key: uuid.NewString(), QuoteID: q.ID})
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	return made
}

// Sent makes a withdrawal that was sent to M-Pesa once, whatever came of that.
func (w *World) Sent(p Person, shillings int64) domain.Withdrawal {
	w.t.Helper()
	made := w.Stored(p, shillings)
	if err := w.App.Pay(w.t.Context(), made.ID); err != nil {
		w.t.Fatalf("pay: %v", err)
	}
	return w.Read(p, made.ID)
}

// InDoubt makes a withdrawal whose answers were all lost.
func (w *World) InDoubt(p Person) domain.Withdrawal {
	w.t.Helper()
	w.Mpesa.AnswerPay("lose")
	made := w.Sent(p, 1000)
	for w.Read(p, made.ID).Status != domain.InDoubt {
		wait, err := w.App.Ask(w.t.Context(), made.ID)
		if err != nil {
			w.t.Fatalf("ask: %v", err)
		}
		w.Advance(wait)
	}
	w.Settle(made.ID)
	return w.Read(p, made.ID)
}

// Read is a withdrawal as its customer sees it.
func (w *World) Read(p Person, id uuid.UUID) domain.Withdrawal {
	w.t.Helper()
	got, err := w.App.GetWithdrawal(w.As(p), id)
	if err != nil {
		w.t.Fatalf("get: %v", err)
	}
	return got
}

// Settle books what is decided.
func (w *World) Settle(id uuid.UUID) {
	w.t.Helper()
	if err := w.App.Settle(w.t.Context(), id); err != nil {
		w.t.Fatalf("settle: %v", err)
	}
}
