package config

import (
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Rule is what the text of a setting must be. A text that is absent is no rule's business.
type Rule struct {
	Name, Text string
	Is         func(text string) bool
	Want       string // completes "NAME must be …"
}

// Check names every setting whose text is not what it must be, and does not show the text: it may be a password in the wrong place.
func Check(rules ...Rule) error {
	var faults []string
	for _, r := range rules {
		if r.Text != "" && !r.Is(r.Text) {
			faults = append(faults, r.Name+" must be "+r.Want)
		}
	}
	return join(faults)
}

// form is a rule about a text alone.
type form struct {
	is   func(text string) bool
	want string
}

// forms are the rules that a tag can name.
var forms = map[string]form{
	"url":      {isURL, "an address such as https://api.example.com"},
	"listen":   {isListen, "host:port or :port"},
	"hostport": {isHostPort, "host:port"},
	"database": {func(t string) bool { _, err := pgx.ParseConfig(t); return err == nil },
		"an address such as postgres://user:password@host:5432/database"},
	"key": {func(t string) bool { return len(NewSecret(t).Bytes()) >= keySize },
		"a key of 32 bytes or more: `sendtip keys init` makes it"},
	"kek": {func(t string) bool { return len(NewSecret(t).Bytes()) == keySize },
		"a key of 32 bytes in base64: `sendtip keys init` makes it"},
	"gsm": {func(t string) bool { return strings.Trim(t, gsmBasic) == "" },
		"of letters, digits and signs that a text message carries in one place each"},
	"level":       {isLevel, "debug, info, warn or error"},
	"email":       {func(t string) bool { _, err := mail.ParseAddress(t); return err == nil }, "an e-mail address"},
	"country":     {regexp.MustCompile(`^[A-Z]{2}$`).MatchString, "two capital letters, such as KE"},
	"phone":       {regexp.MustCompile(`^\+?[0-9]{9,12}$`).MatchString, "a phone number in digits"},
	"files":       {isFileStore, "file:///folder or s3://bucket?region=…"},
	"environment": {isEnvironment, "`production`, if that is meant"},
}

// gsmBasic is the basic alphabet of GSM 03.38 without line ends. Any other character takes two places in a text message, or reduces what
// the message holds from 160 characters to 70.
const gsmBasic = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// keySize is the length of keys in bytes.
const keySize = 32

// URL is an http or https address.
func URL(name, text string) Rule { return rule("url", name, text) }

// HostPort is where a server is.
func HostPort(name, text string) Rule { return rule("hostport", name, text) }

// Database is a PostgreSQL address.
func Database(name, text string) Rule { return rule("database", name, text) }

func rule(kind, name, text string) Rule { return Rule{name, text, forms[kind].is, forms[kind].want} }

func isURL(t string) bool {
	u, err := url.Parse(t)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && (u.Port() == "" || isPort(u.Port()))
}

func isListen(t string) bool {
	_, p, err := net.SplitHostPort(t)
	return err == nil && isPort(p)
}

func isHostPort(t string) bool {
	h, p, err := net.SplitHostPort(t)
	return err == nil && h != "" && isPort(p)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

func isLevel(text string) bool {
	var l slog.Level
	return l.UnmarshalText([]byte(text)) == nil
}

func isDigits(text, least, most string) bool {
	low, _ := strconv.Atoi(least)
	high, _ := strconv.Atoi(most)
	return len(text) >= low && len(text) <= high && strings.Trim(text, "0123456789") == ""
}

// isEnvironment takes everything else for development, so a slip of the pen must not switch the refusals of production off.
func isEnvironment(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case production, "prod", "prd", "live":
		return text == production
	}
	return true
}
