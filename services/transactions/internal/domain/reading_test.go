package domain_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

func codeOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := fault.As(err)
	if !ok || f.Kind != fault.Invalid || len(f.Fields) != 1 {
		t.Fatalf("not one bad parameter: %v", err)
	}
	return f.Fields[0].Pointer + " " + f.Fields[0].Code
}

func TestFilter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	micro := time.Microsecond
	for name, c := range map[string]struct {
		in   domain.Filter
		want string
	}{
		"nothing":              {domain.Filter{}, ""},
		"all":                  {domain.Filter{From: at, To: at.Add(micro), Channel: "paystack", Type: "t_1"}, ""},
		"from alone":           {domain.Filter{From: at}, ""},
		"to alone":             {domain.Filter{To: at}, ""},
		"empty":                {domain.Filter{From: at, To: at}, "to period_invalid"},
		"reversed":             {domain.Filter{From: at.Add(micro), To: at}, "to period_invalid"},
		"within a microsecond": {domain.Filter{From: at.Add(1), To: at.Add(2)}, "to period_invalid"},
		"channel":              {domain.Filter{Channel: "cash"}, "channel channel_invalid"},
		"type":                 {domain.Filter{Type: "T"}, "type type_invalid"},
		"long type":            {domain.Filter{Type: "ttttttttttttttttttttttttttttttttttttttttt"}, "type type_invalid"},
	} {
		if _, err := c.in.Validate(); codeOf(t, err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// What is stored at at+1µs is neither before the one nor at or after the other of these.
	got, err := domain.Filter{From: at.Add(micro + 1), To: at.Add(2*micro + 1).In(time.FixedZone("EAT", 3*3600))}.Validate()
	if err != nil || !got.From.Equal(at.Add(2*micro)) || !got.To.Equal(at.Add(3*micro)) || got.To.Location() != time.UTC {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAsOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 1500, time.UTC)
	for name, c := range map[string]struct {
		in     domain.AsOf
		moment time.Time
		past   bool
		want   string
	}{
		"now":              {},
		"recorded":         {in: domain.AsOf{Recorded: now}, moment: now.Truncate(time.Microsecond), past: true},
		"effective":        {in: domain.AsOf{Effective: now.Add(-time.Hour)}, moment: now.Add(-time.Hour).Truncate(time.Microsecond), past: true},
		"future":           {in: domain.AsOf{Recorded: now.Add(1)}, want: "recorded_at as_of_in_future"},
		"effective future": {in: domain.AsOf{Effective: now.Add(1)}, want: "effective_at as_of_in_future"},
		"both":             {in: domain.AsOf{Recorded: now, Effective: now}, want: "effective_at as_of_ambiguous"},
	} {
		moment, past, err := c.in.Validate(now)
		if codeOf(t, err) != c.want || err == nil && (past != c.past || !moment.Equal(c.moment)) {
			t.Errorf("%s: %s, %v, %v", name, moment, past, err)
		}
	}
}
