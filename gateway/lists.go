package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/sendtip/sendtip/kit/config"
)

// Pair is one `name=value`.
type Pair struct{ Name, value string }

// String hides the value.
func (p Pair) String() string { return p.Name + "=[secret]" }

func (p Pair) secret() []byte { return config.NewSecret(p.value).Bytes() }

// Pairs is a list of `name=value`, which may name one thing twice.
type Pairs []Pair

// UnmarshalText reads the list, or the file that it names.
func (p *Pairs) UnmarshalText(text []byte) error {
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		data, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
		if err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		text = data
	}
	for _, item := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok || name == "" || value == "" {
			return errors.New("a list of name=value pairs is expected")
		}
		var secret config.Secret
		if err := secret.UnmarshalText([]byte(value)); err != nil { // a value may be file:/path, too
			return err
		}
		*p = append(*p, Pair{Name: strings.TrimSpace(name), value: secret.Reveal()})
	}
	return nil
}

// Networks is a list of networks, separated by commas.
type Networks []netip.Prefix

// UnmarshalText reads the list.
func (n *Networks) UnmarshalText(text []byte) error { return n.set(string(text)) }

func (n *Networks) set(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if err != nil {
			return errors.New("a list of networks such as 10.0.0.0/8 is expected")
		}
		*n = append(*n, p)
	}
	return nil
}
