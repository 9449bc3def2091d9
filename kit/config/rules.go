package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Rule is what the text of a setting must be. A text that is absent is no rule's business.
type Rule struct {
	Name, Text string
	Is         func(text string) bool
	Want       string // completes "NAME must be …"
}

// Check names the first setting whose text is not what it must be, and does not show the text: it may be a password in the wrong place.
func Check(rules ...Rule) error {
	for _, r := range rules {
		if r.Text != "" && !r.Is(r.Text) {
			return fmt.Errorf("%s must be %s", r.Name, r.Want)
		}
	}
	return nil
}

// URL is an http or https address.
func URL(name, text string) Rule {
	return Rule{name, text, func(t string) bool {
		u, err := url.Parse(t)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && (u.Port() == "" || port(u.Port()))
	}, "an address such as https://api.example.com"}
}

// Listen is where to listen: a port, with or without a host.
func Listen(name, text string) Rule {
	return Rule{name, text, func(t string) bool {
		_, p, err := net.SplitHostPort(t)
		return err == nil && port(p)
	}, "host:port or :port"}
}

// HostPort is where a server is.
func HostPort(name, text string) Rule {
	return Rule{name, text, func(t string) bool {
		h, p, err := net.SplitHostPort(t)
		return err == nil && h != "" && port(p)
	}, "host:port"}
}

// Database is a PostgreSQL address.
func Database(name, text string) Rule {
	return Rule{name, text, func(t string) bool { _, err := pgx.ParseConfig(t); return err == nil }, "an address such as postgres://user:password@host:5432/database"}
}

// Key is a secret of at least as many bytes as its users demand.
func Key(name string, s Secret, atLeast, atMost int) Rule {
	return Rule{name, s.Reveal(), func(string) bool { n := len(s.Bytes()); return n >= atLeast && n <= atMost },
		"a key of " + size(atLeast, atMost) + ": `sendtip keys init` makes it"}
}

func size(atLeast, atMost int) string {
	if atLeast == atMost {
		return strconv.Itoa(atLeast) + " bytes in base64"
	}
	return strconv.Itoa(atLeast) + " bytes or more"
}

func port(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

func level(text string) bool {
	var l slog.Level
	return l.UnmarshalText([]byte(text)) == nil
}
