// Package log makes the one logger of a process: JSON lines, personal data and secrets redacted by type and by key.
package log

import (
	"io"
	"log/slog"
	"strings"
)

// Secret is a string that a log line shows as [secret].
type Secret string

// LogValue hides the text.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Phone is an E.164 number of which a log line shows the country and the last two digits.
type Phone string

// LogValue shortens the number.
func (p Phone) LogValue() slog.Value {
	if len(p) < 7 {
		return slog.StringValue("[phone]")
	}
	return slog.StringValue(string(p[:4]) + "…" + string(p[len(p)-2:]))
}

// redacted are attribute keys whose values never reach a line, whatever their type: the last net, not the first.
var redacted = map[string]bool{
	"pin": true, "otp": true, "code_sent": true, "password": true, "token": true, "access_token": true, "refresh_token": true,
	"authorization": true,
	"phone":         true, "msisdn": true, "email": true, "id_number": true, "first_name": true, "last_name": true, "secret": true,
	"api_key": true, "dsn": true,
}

// New returns a logger that writes lines of at least the named level ("debug", "info", "warn", "error") for a service.
func New(w io.Writer, level, service string) *slog.Logger {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: redact})
	return slog.New(h).With("service", service)
}

func redact(_ []string, a slog.Attr) slog.Attr {
	if redacted[strings.ToLower(a.Key)] {
		return slog.String(a.Key, "[redacted]")
	}
	return a
}
