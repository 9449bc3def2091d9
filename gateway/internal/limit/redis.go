package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisTimeout is short: a slow Redis must not slow every request, the local counter is the better answer.
const RedisTimeout = 150 * time.Millisecond

// script takes from all counters in one round trip, or from none. Redis's own clock is used, so that gateways agree.
// ARGV holds for each key: microseconds per request, burst, how much to take. Answers two numbers for each key: taken, and microseconds
// until the bucket is full.
var script = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local lags, takes, all = {}, {}, true
for i, key in ipairs(KEYS) do
  local every, burst, cost = tonumber(ARGV[i*3-2]), tonumber(ARGV[i*3-1]), tonumber(ARGV[i*3])
  lags[i] = math.max(tonumber(redis.call('GET', key) or now) - now, 0)
  takes[i] = math.min(cost, math.floor((every * burst - lags[i]) / every))
  all = all and takes[i] > 0
end
local out = {}
for i, key in ipairs(KEYS) do
  if all then
    lags[i] = lags[i] + ARGV[i*3-2] * takes[i]
    redis.call('SET', key, string.format('%.0f', now + lags[i]), 'PX', math.ceil(lags[i] / 1000) + 1000)
  end
  out[i*2-1], out[i*2] = all and takes[i] or 0, lags[i]
end
return out
`)

// Redis counts for all gateways together.
type Redis struct {
	client  redis.UniversalClient
	timeout time.Duration
}

// NewRedis connects lazily: a Redis that is down is no reason not to start. A password wins over one in the address. The timeout is that of
// one question.
func NewRedis(url, password string, timeout time.Duration) (*Redis, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("SENDTIP_REDIS_URL is not a redis:// address") // the text may hold a password
	}
	if password != "" {
		opts.Password = password
	}
	redis.SetLogger(silent{})
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = timeout, timeout, timeout
	opts.MaxRetries = -1 // a repeated script would count twice
	opts.ContextTimeoutEnabled = true
	opts.PoolTimeout = timeout
	opts.PoolSize = 64
	return &Redis{client: redis.NewClient(opts), timeout: timeout}, nil
}

// silent drops the driver's own lines, which go to standard error unstructured: the limiter logs a lost Redis itself.
type silent struct{}

// Printf does nothing.
func (silent) Printf(context.Context, string, ...any) {}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

const keyPrefix = "sendtip:limit:"

func (r *Redis) take(ctx context.Context, asks []Ask) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	keys, args := make([]string, len(asks)), make([]any, 0, 3*len(asks))
	for i, a := range asks {
		keys[i] = keyPrefix + a.Key
		args = append(args, every(a.Policy).Microseconds(), a.Policy.Burst, a.cost)
	}
	out, err := script.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("count in redis: %w", err)
	}
	if len(out) != 2*len(asks) {
		return nil, fmt.Errorf("count in redis: %d numbers for %d counters", len(out), len(asks))
	}
	answers := make([]Answer, len(asks))
	for i, a := range asks {
		answers[i] = answer(a.Policy, time.Duration(out[2*i+1])*time.Microsecond, int(out[2*i]))
	}
	return answers, nil
}
