package log_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/log"
)

func TestSampled(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	l := log.Sampled(slog.New(slog.NewJSONHandler(&out, nil)), func() time.Time { return now }).With("service", "gateway")
	lines := func(part string) int { return strings.Count(out.String(), part) }
	for range 10_000 {
		l.Warn("refused", "route", "GET /a")
		l.Error("broken")
	}
	l.Warn("refused", "route", "GET /b")
	if got := lines(`"refused"`); got != 6 || lines(`GET /b`) != 1 {
		t.Fatalf("%d refusals written, want 5 of one kind and 1 of another", got)
	}
	if got := lines(`"broken"`); got != 10_000 {
		t.Fatalf("%d errors written: errors are never sampled away", got)
	}
	out.Reset()
	now = now.Add(10 * time.Second)
	l.Info("another")
	if !strings.Contains(out.String(), `"message":"refused","not_written":9995`) || lines("another") != 1 {
		t.Fatalf("the count is missing: %s", out.String())
	}
	l.Warn("refused", "route", "GET /a")
	if lines(`"msg":"refused"`) != 1 {
		t.Fatal("a new window does not begin")
	}
	out.Reset()
	for i := range 100_000 { // a hostile client invents kinds
		l.Warn("refused", "route", fmt.Sprint(i))
	}
	if got := strings.Count(out.String(), "\n"); got > 300 {
		t.Fatalf("%d lines of invented kinds", got)
	}
}
