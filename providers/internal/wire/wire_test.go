package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMinor(t *testing.T) {
	t.Parallel()
	good := map[string]int64{"5.00": 500, "5": 500, "0.05": 5, "1250.5": 125050, "1.000": 100, " 7.10 ": 710,
		"90071992547409.91": 9007199254740991}
	for in, want := range good {
		if got, err := Minor(in); err != nil || got != want {
			t.Errorf("Minor(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", ".", ".5", "-1", "+1", "1e3", "1.001", "1,000", "0x10", "NaN", "90071992547409.92", "1.2.3", "１"} {
		if got, err := Minor(in); err == nil {
			t.Errorf("Minor(%q) = %d; want an error", in, got)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	good := map[string]Text{
		`"SFC_IC0003"`: "SFC_IC0003", `1032`: "1032", `254708374149`: "254708374149", `2.54708374149E11`: "254708374149",
		`1.00`: "1.00", `true`: "true", `null`: "", `1.25e1`: "12.5000000000000000000000000000000000000000",
	}
	for in, want := range good {
		var got Text
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`{}`, `[1]`, `1e1000000000`} {
		var got Text
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s = %q; want an error", in, got)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for in, hidden := range map[string]string{
		"Error Occurred - Invalid Access Token - c9SQxWWhmdVRlyh0zh8gZDTkubVF": "c9SQ",
		"no such subscriber +254708374149 here":                                "708374",
		"id 12345678 unknown":                                                  "5678",
	} {
		if out := Scrub(in); strings.Contains(out, hidden) || out == "" {
			t.Errorf("Scrub(%q) = %q", in, out)
		}
	}
	if out := Scrub(strings.Repeat("a b\n", 500)); len(out) > 160 || strings.Contains(out, "\n") {
		t.Errorf("not one short line: %q", out)
	}
}

func FuzzMinor(f *testing.F) {
	f.Add("5.00")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := Minor(s); err == nil && (n < 0 || n > maxMinor) {
			t.Fatalf("Minor(%q) = %d", s, n)
		}
	})
}
