package pg_test

import (
	"context"
	"reflect"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/pgtest"
)

// TestArraysArriveAsTheyAre: whatever a list has, empty and null ones too, PostgreSQL reads it and gives it back.
func TestArraysArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	pool := pgtest.Open(t, "wallet", fstest.MapFS{}).Pool
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOf(rapid.StringMatching("[a-zäöü\"\\\\{}, NULL]{0,8}")).Draw(rt, "texts")
		ids := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) uuid.UUID {
			return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt,
				"id"))
		})).Draw(rt, "ids")
		longs, shorts := rapid.SliceOf(rapid.Int64()).Draw(rt, "longs"), rapid.SliceOf(rapid.Int16()).Draw(rt, "shorts")
		times := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) time.Time {
			return time.UnixMicro(rapid.Int64Range(-1<<50, 1<<52).Draw(rt, "time")).UTC()
		})).Draw(rt, "times")
		bytes := rapid.SliceOf(rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Just([]byte(nil)))).Draw(rt, "bytes")
		var gotTexts []string
		var gotIDs []uuid.UUID
		var gotLongs []int64
		var gotShorts []int16
		var gotTimes []time.Time
		var gotBytes [][]byte
		err := pool.QueryRow(context.Background(), "SELECT $1::text[], $2::uuid[], $3::bigint[], $4::smallint[], $5::timestamptz[], $6::bytea[]",
			texts, ids, longs, shorts, times, bytes).Scan(&gotTexts, &gotIDs, &gotLongs, &gotShorts, &gotTimes, &gotBytes)
		if err != nil {
			rt.Fatal(err)
		}
		for i := range gotTimes {
			gotTimes[i] = gotTimes[i].UTC()
		}
		for _, c := range [][2]any{{texts, gotTexts}, {ids, gotIDs}, {longs, gotLongs}, {shorts, gotShorts}, {times, gotTimes},
			{bytes, gotBytes}} {
			if reflect.ValueOf(c[0]).Len() != reflect.ValueOf(c[1]).Len() || reflect.ValueOf(c[0]).Len() > 0 && !reflect.DeepEqual(c[0], c[1]) {
				rt.Fatalf("%#v came back as %#v", c[0], c[1])
			}
		}
	})
	var null bool
	if err := pool.QueryRow(context.Background(), "SELECT $1::text[] IS NULL", []string(nil)).Scan(&null); err != nil || !null {
		t.Errorf("a nil list is %v, %v", null, err)
	}
}
