package main

import (
	"testing"
	"time"
)

// TestStorm: 300 payments, with kills, end on both sides alike.
func TestStorm(t *testing.T) {
	t.Parallel()
	v, err := run(t.Context(), options{payments: 300, customers: 12, seed: 7, killEvery: 10 * time.Second}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range v.faults {
		t.Error(f)
	}
	if !v.good() {
		t.Error(v)
	}
	t.Log(v)
}
