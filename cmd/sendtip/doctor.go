package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/config"
)

func doctorCommand(f *flags) *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "Check every dependency, and say what to do about what is missing", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return doctor(c.Context(), f, c.OutOrStdout()) }}
}

// ailment is one thing to look at, and the remedy if it fails.
type ailment struct {
	name   string
	look   func(ctx context.Context) (string, error)
	remedy string
}

func doctor(ctx context.Context, f *flags, out io.Writer) error {
	list := []ailment{
		{"keys", f.lookAtKeys, "run `sendtip keys init`; if keys were lost, restore the backup: sealed data cannot be read without them"},
		{"PostgreSQL", f.lookAtPostgres,
			"run `make up` or check SENDTIP_POSTGRES_URL; if fsync is off, set fsync, full_page_writes and synchronous_commit to on"},
		{"databases", f.lookAtDatabases, "run `sendtip migrate`"},
		{"Kafka", f.lookAtKafka, "start the platform or check SENDTIP_KAFKA_BROKERS; for missing topics run `sendtip events apply`"},
		{"Redis", f.lookAtRedis, "start the platform or check SENDTIP_REDIS_URL; until then each gateway limits on its own"},
	}
	for _, s := range platform.Services {
		list = append(list, ailment{s, func(ctx context.Context) (string, error) { return f.lookAtService(ctx, s) },
			"read the log (" + f.dir + "/log/sendtip.log) for lines of " + s})
	}
	list = append(list, ailment{"callbacks", func(ctx context.Context) (string, error) {
		return lookAtCallbacks(ctx, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Ops("gateway"))))
	}, "if the gateway is behind a proxy, list it in SENDTIP_TRUSTED_PROXIES; if the provider has new addresses, list them in " +
		"SENDTIP_WEBHOOK_SOURCES"})
	list = append(list, ailment{"ledger", f.checkLedger, "stop the money services and make a copy of the database before anything else"})
	list = append(list, ailment{"staff", f.lookAtStaff,
		"staff have no wallet: give the role to another number of theirs and take it from this one, then they can send the money away"})
	failed := 0
	for _, a := range list {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		note, err := a.look(ctx)
		cancel()
		if err == nil {
			_, _ = fmt.Fprintf(out, "ok    %-13s %s\n", a.name, note)
			continue
		}
		failed++
		_, _ = fmt.Fprintf(out, "FAIL  %-13s %v\n      what to do: %s\n", a.name, err, a.remedy)
	}
	if failed > 0 {
		return errFailed
	}
	return nil
}

func (f *flags) lookAtKeys(context.Context) (string, error) {
	info, err := os.Stat(f.dir + "/keys")
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("other users can read %s: run chmod 700 on it", f.dir+"/keys")
	}
	return f.dir + "/keys", nil
}

func (f *flags) connect(ctx context.Context) (*pgx.Conn, error) {
	u, err := f.adminURL()
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, u)
}

func (f *flags) lookAtPostgres(ctx context.Context) (string, error) {
	conn, err := f.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("no answer")
	}
	defer func() { _ = conn.Close(ctx) }()
	var version, fsync, pages, sync string
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'), "+
		"current_setting('synchronous_commit')").
		Scan(&version, &fsync, &pages, &sync)
	if err == nil && (fsync != "on" || pages != "on" || sync == "off") {
		err = fmt.Errorf("fsync %s, full_page_writes %s, synchronous_commit %s: a crash loses money", fsync, pages, sync)
	}
	return version, err
}

func (f *flags) lookAtDatabases(ctx context.Context) (string, error) {
	conn, err := f.connect(ctx)
	if err != nil {
		return "", fmt.Errorf("no answer")
	}
	defer func() { _ = conn.Close(ctx) }()
	var missing []string
	for _, s := range platform.Services {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", s).Scan(&there); err != nil {
			return "", err
		}
		if !there {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	return "one per service", nil
}

func (f *flags) lookAtKafka(context.Context) (string, error) {
	tool, err := f.tool()
	if err != nil {
		return "", err
	}
	client, err := sarama.NewClient(tool.Addresses, tool.Config())
	if err != nil {
		return "", fmt.Errorf("no answer from %s: %w", strings.Join(tool.Addresses, ","), err)
	}
	defer func() { _ = client.Close() }()
	there, err := client.Topics()
	if err != nil {
		return "", err
	}
	want, err := platform.Topics()
	if err != nil {
		return "", err
	}
	for _, t := range want {
		if !strings.Contains(" "+strings.Join(there, " ")+" ", " "+t.Name+" ") {
			return "", fmt.Errorf("topic %s is missing", t.Name)
		}
	}
	return fmt.Sprintf("%d topics", len(want)), nil
}

func (f *flags) lookAtRedis(ctx context.Context) (string, error) {
	u := os.Getenv("SENDTIP_REDIS_URL")
	if u == "" {
		u = "redis://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Redis())) + "/0"
	}
	o, err := redis.ParseURL(u)
	if err != nil {
		return "", fmt.Errorf("SENDTIP_REDIS_URL is not a Redis URL")
	}
	if o.Password, err = f.redisPassword(o.Password); err != nil {
		return "", err
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	return "answers", c.Ping(ctx).Err()
}

// redisPassword is the given one, that of the address, or that of the embedded server.
func (f *flags) redisPassword(inAddress string) (string, error) {
	if given := os.Getenv("SENDTIP_REDIS_PASSWORD"); given != "" {
		var password config.Secret
		err := password.UnmarshalText([]byte(given))
		return password.Reveal(), err
	}
	if os.Getenv("SENDTIP_REDIS_URL") != "" {
		return inAddress, nil
	}
	set, err := f.keys()
	if err != nil {
		return "", err
	}
	return set.Read(keys.RedisPassword)
}

func (f *flags) lookAtService(ctx context.Context, name string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Ops(name)))+
		"/readyz", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("does not answer")
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 2048))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return "ready", nil
}

// lookAtCallbacks reads from the gateway's metrics whether it takes every provider for a stranger: payments then wait to be confirmed.
func lookAtCallbacks(ctx context.Context, ops string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ops+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("the gateway does not answer")
	}
	defer func() { _ = resp.Body.Close() }()
	const gauge = `gateway_webhook_only_strangers{hook="`
	var strange []string
	for lines := bufio.NewScanner(io.LimitReader(resp.Body, 16<<20)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), gauge)
		if hook, value, _ := strings.Cut(rest, `"} `); ok && value != "0" {
			strange = append(strange, hook)
		}
	}
	if len(strange) > 0 {
		return "", fmt.Errorf("all callbacks to /v1/hooks/{%s} come from addresses that are not the provider's", strings.Join(strange, ","))
	}
	return "sources are as listed", nil
}
