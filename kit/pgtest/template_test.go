package pgtest

import (
	"testing"
	"testing/fstest"
	"time"
)

func TestLeftovers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	old := cloneName("user_accounts", now.Add(-leftoverAge-time.Second))
	young := cloneName("user_accounts", now.Add(-leftoverAge+time.Second))
	for name, want := range map[string]bool{
		old: true, young: false, "test_": false, "wallet": false, "test_of_somebody": false, "template_wallet_0": false,
	} {
		if got := isLeftover(name, now); got != want {
			t.Errorf("isLeftover(%s) = %t, want %t", name, got, want)
		}
	}
}

func TestSchemaKeyFollowsTheMigrations(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, files := range []fstest.MapFS{
		{},
		{"a.sql": {Data: []byte("x")}},
		{"a.sql": {Data: []byte("y")}},
		{"b.sql": {Data: []byte("x")}},
		{"a.sql": {Data: []byte("x")}, "b.sql": {Data: []byte("x")}},
	} {
		key, err := schemaKey(files)
		if err != nil {
			t.Fatal(err)
		}
		keys[key] = true
	}
	if len(keys) != 5 {
		t.Errorf("%d different keys, want 5", len(keys))
	}
}
