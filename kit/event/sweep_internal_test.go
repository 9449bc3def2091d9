package event

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/sendtip/sendtip/kit/pgtest"
)

func TestSweepInboxKeepsWhatATopicMayStillHold(t *testing.T) {
	t.Parallel()
	pool := pgtest.Open(t, "wallet", fstest.MapFS{}).Pool
	now := time.Now()
	for consumer, age := range map[string]time.Duration{"wallet": inboxKept + time.Hour, "other": inboxKept + time.Hour} {
		for _, at := range []time.Time{now.Add(-age), now.Add(-inboxKept + time.Hour)} {
			if _, err := pool.Exec(t.Context(), `INSERT INTO inbox VALUES ($1, gen_random_uuid(), $2)`, consumer, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := pool.Exec(t.Context(), `INSERT INTO inbox SELECT 'wallet', gen_random_uuid(), $1 FROM generate_series(1, $2)`,
		now.Add(-inboxKept-time.Hour), 2*sweepLimit); err != nil { // more than one statement deletes
		t.Fatal(err)
	}
	if err := sweepInbox(t.Context(), pool, "wallet", now); err != nil {
		t.Fatal(err)
	}
	var mine, others int
	err := pool.QueryRow(t.Context(),
		`SELECT count(*) FILTER (WHERE consumer = 'wallet'), count(*) FILTER (WHERE consumer = 'other') FROM inbox`).Scan(&mine, &others)
	if err != nil || mine != 1 || others != 2 {
		t.Fatalf("mine %d, others %d, %v", mine, others, err)
	}
}
