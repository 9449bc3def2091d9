package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	gatewaysql "github.com/sendtip/sendtip/sql/gateway"
)

const (
	kid        = "key-1"
	transferID = "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"
	walletKey  = "service-key-of-wallet"
	userSvcKey = "service-key-of-user"
)

// hashServiceKey is what the gateway is told of a service's key.
func hashServiceKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var delegationKey = []byte("delegation-key-of-the-gateways-only")

func identityKey(service string) []byte {
	return []byte("identity-key-of-" + service + "-with-32-bytes-or-more")
}

// contracts is the fixture: small contracts, with the real common.yaml and gateway.yaml.
func contracts(t testing.TB) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	for _, source := range []struct {
		fsys  fs.FS
		names []string
	}{{openapi.FS, []string{"common.yaml", "gateway.yaml"}},
		{os.DirFS("testdata/contracts"), []string{"services.yaml", "user.yaml", "wallet.yaml", "transactions.yaml"}}} {
		for _, n := range source.names {
			data, err := fs.ReadFile(source.fsys, n)
			if err != nil {
				t.Fatal(err)
			}
			out[n] = &fstest.MapFile{Data: data}
		}
	}
	return out
}

// world is a gateway with scripted services, an embedded Redis and, if asked for, a real database.
type world struct {
	t                    testing.TB
	cfg                  Config
	service              *service.Service
	public, internal     *httptest.Server
	redis                *miniredis.Miniredis
	key                  *ecdsa.PrivateKey
	users                *users
	wallet, transactions *upstream
	user, session        string
	log                  *servicetest.Logs
	contracts            fs.FS
}

func setup(t testing.TB, change ...func(w *world)) *world {
	t.Helper()
	w := &world{t: t, user: uuid.NewString(), session: uuid.NewString(), key: newKey(t), log: &servicetest.Logs{}, contracts: contracts(t)}
	w.users = newUsers(t, w.key)
	w.wallet = newUpstream(t, "wallet", reply(201, `{"id":"`+transferID+`"}`))
	w.transactions = newUpstream(t, "transactions", reply(200, `{}`))
	w.redis = miniredis.RunT(t)
	w.cfg = Config{
		Common:         servicetest.Common("postgres://gateway@127.0.0.1:1/gateway"),
		InternalListen: "127.0.0.1:0", PublicURL: "https://api.example.test", RedisURL: config.NewSecret("redis://" + w.redis.Addr()),
		RedisTimeout: 10 * time.Second, DelegationKey: config.NewSecret(string(delegationKey)), SampleAnswers: 1,
		Upstreams: map[string]string{"user": w.users.URL, "wallet": w.wallet.URL, "transactions": w.transactions.URL},
		ServiceKeyHashes: Pairs{{"wallet", hashServiceKey("an-older-key")}, {"wallet", hashServiceKey(walletKey)},
			{"user", hashServiceKey(userSvcKey)}},
	}
	w.cfg.Common.Env, w.cfg.Common.PoolSize, w.cfg.Common.IdentityKey = "development", 4, config.NewSecret(string(identityKey("gateway")))
	for _, s := range []string{"user", "wallet", "transactions"} {
		w.cfg.IdentityKeys = append(w.cfg.IdentityKeys, Pair{s, string(identityKey(s))})
	}
	for _, c := range change {
		c(w)
	}
	w.start()
	return w
}

func withDatabase(w *world) {
	db := pgtest.Open(w.t, "gateway", gatewaysql.Migrations())
	w.cfg.Common.DatabaseURL = config.NewSecret(db.AppURL)
}

func (w *world) start() {
	w.t.Helper()
	if err := config.Verify(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.service, w.public, w.internal = w.run()
	if os.Getenv("SENDTIP_TEST_LOG") != "" {
		w.t.Cleanup(func() { w.t.Log(w.log.String()) })
	}
}

// run starts a gateway without its outbox relay (there is no broker here) and waits until it is ready.
func (w *world) run() (*service.Service, *httptest.Server, *httptest.Server) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := build(ctx, w.cfg, w.contracts,
		service.Host{Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, l := range s.Loops {
		database := l.Name == "api keys" || l.Name == "idempotency keys"
		if l.Name == "outbox" || database && strings.Contains(w.cfg.Common.DatabaseURL.Reveal(), ":1/") {
			continue
		}
		wg.Go(func() { _ = l.Run(ctx) })
	}
	public, internal := httptest.NewServer(s.Handler), httptest.NewServer(s.Also[0].Handler)
	w.t.Cleanup(func() {
		public.Close()
		internal.Close()
		cancel()
		wg.Wait()
		s.Close()
	})
	for _, c := range s.Checks {
		if c.Name == "revocations" && !w.usersDown() {
			eventually(w.t, c.Name, func() bool { return c.Run(ctx) == nil })
		}
	}
	return s, public, internal
}

func (w *world) usersDown() bool {
	w.users.mu.Lock()
	defer w.users.mu.Unlock()
	return w.users.down
}

// eventually polls until ok or a deadline.
func eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if ok() {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%s did not happen", what)
		}
	}
	return time.Since(start)
}
