package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisTimeout is short: a slow Redis must not slow every request, the local counter is the better answer.
const redisTimeout = 150 * time.Millisecond

// script takes from all counters in one round trip, or from none. Redis's own clock is used, so that gateways agree.
// ARGV holds for each key: microseconds per request, burst, how much to take. Answers four numbers for each key: taken, remaining,
// microseconds until full, microseconds to wait.
var script = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local out, tats, all = {}, {}, true
for i, key in ipairs(KEYS) do
  local every, burst, cost = tonumber(ARGV[i*3-2]), tonumber(ARGV[i*3-1]), tonumber(ARGV[i*3])
  local tat = math.max(tonumber(redis.call('GET', key) or now), now)
  local free = math.floor((now + every * burst - tat) / every)
  local taken, wait = 0, 0
  if free < 1 then
    all = false
    wait = tat + every - every * burst - now
  else
    taken = math.min(cost, free)
  end
  tats[i] = tat + every * taken
  out[i*4-3], out[i*4-2], out[i*4-1], out[i*4] = taken, math.max(free, 0) - taken, tats[i] - now, wait
end
if all then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.0f', tats[i]), 'PX', math.ceil((tats[i] - now) / 1000) + 1000)
  end
end
return out
`)

// Redis counts for all gateways together.
type Redis struct{ client redis.UniversalClient }

// NewRedis connects lazily: a Redis that is down is no reason not to start.
func NewRedis(url string) (*Redis, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("SENDTIP_REDIS_URL is not a redis:// address") // the text may hold a password
	}
	redis.SetLogger(silent{})
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	opts.MaxRetries = -1 // a repeated script would count twice
	opts.ContextTimeoutEnabled = true
	opts.PoolTimeout = redisTimeout
	opts.PoolSize = 64
	return &Redis{client: redis.NewClient(opts)}, nil
}

// silent drops the driver's own lines, which go to standard error unstructured: the limiter logs a lost Redis itself.
type silent struct{}

// Printf does nothing.
func (silent) Printf(context.Context, string, ...any) {}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

const keyPrefix = "sendtip:limit:"

func (r *Redis) take(ctx context.Context, asks []Ask) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	keys, args := make([]string, len(asks)), make([]any, 0, 3*len(asks))
	for i, a := range asks {
		keys[i] = keyPrefix + a.Key
		args = append(args, (a.Policy.Window / time.Duration(a.Policy.Limit)).Microseconds(), a.Policy.Burst, a.cost)
	}
	out, err := script.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("count in redis: %w", err)
	}
	if len(out) != 4*len(asks) {
		return nil, fmt.Errorf("count in redis: %d numbers for %d counters", len(out), len(asks))
	}
	answers := make([]Answer, len(asks))
	for i, a := range asks {
		n := out[4*i : 4*i+4]
		answers[i] = Answer{Policy: a.Policy, Allowed: n[0] > 0, taken: int(n[0]), Remaining: int(n[1]),
			Reset: time.Duration(n[2]) * time.Microsecond, Retry: time.Duration(n[3]) * time.Microsecond}
	}
	return answers, nil
}
