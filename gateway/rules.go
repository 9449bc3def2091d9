package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

var envPattern = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}$`)

// Check is what no other service asks.
func (c Config) Check() error {
	switch {
	case !envPattern.MatchString(c.Common.Env):
		return errors.New("SENDTIP_ENV must be a short word in lower case: API keys carry it")
	case c.Common.Production() && c.SampleAnswers > 0:
		return errors.New("SENDTIP_SAMPLE_ANSWERS must be 0 in production")
	case !(c.SampleAnswers >= 0 && c.SampleAnswers <= 1):
		return errors.New("SENDTIP_SAMPLE_ANSWERS must be a share from 0 to 1")
	}
	for _, p := range c.ServiceKeyHashes {
		if sum, err := hex.DecodeString(p.value); err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("SENDTIP_SERVICE_KEY_HASHES: that of %s must be a SHA-256 in hex", p.Name)
		}
	}
	for _, p := range c.IdentityKeys {
		if bytes.Equal(p.secret(), c.DelegationKey.Bytes()) {
			return fmt.Errorf("SENDTIP_IDENTITY_KEYS: the identity key of %s is the delegation key: a service could then act for anybody", p.Name)
		}
		if len(p.secret()) < 32 {
			return fmt.Errorf("SENDTIP_IDENTITY_KEYS: that of %s is shorter than 32 bytes", p.Name)
		}
	}
	if err := c.checkNetworks(); err != nil {
		return err
	}
	return c.applyPolicies(map[string]contract.Policy{})
}

func (c Config) identityKeys() map[string][]byte {
	out := map[string][]byte{"gateway": c.Common.IdentityKey.Bytes()}
	for _, p := range c.IdentityKeys {
		if _, ok := out[p.Name]; !ok {
			out[p.Name] = p.secret()
		}
	}
	return out
}

func (c Config) serviceHashes() map[string][]string {
	out := map[string][]string{}
	for _, p := range c.ServiceKeyHashes {
		out[p.Name] = append(out[p.Name], p.value)
	}
	return out
}

func (c Config) delegationKeys() [][]byte {
	out := [][]byte{c.DelegationKey.Bytes()}
	if c.DelegationOld.Set() {
		out = append(out, c.DelegationOld.Bytes())
	}
	return out
}

// hooks is the beginning of the paths that providers call; two letters for the kind follow.
const hooks = "/v1/hooks/"

// checkNames refuses names that the contracts do not know, which would change nothing, unseen; and what they know and nobody serves.
func (c Config) checkNames(set *contract.Set) error {
	keys := c.identityKeys()
	for _, s := range append([]string{"user"}, set.Services...) { // tokens are checked with user's keys, whatever operations there are
		if setting := upstreamPrefix + strings.ToUpper(s); s != name && c.Upstreams[s] == "" {
			return fmt.Errorf("%s is not set: it has operations", setting)
		}
		if len(keys[s]) == 0 {
			return fmt.Errorf("SENDTIP_IDENTITY_KEYS: there is none of %s, which has operations", s)
		}
	}
	for _, p := range c.RatePolicies {
		if _, ok := set.Policies[p.Name]; !ok {
			return fmt.Errorf("SENDTIP_RATE_POLICIES: there is no policy %s", p.Name)
		}
	}
	for _, p := range c.WebhookSources {
		if !slices.ContainsFunc(set.Operations, func(o *contract.Operation) bool { return strings.HasPrefix(o.Path+"/", hooks+p.Name+"/") }) {
			return fmt.Errorf("SENDTIP_WEBHOOK_SOURCES: there is no kind of hook %s", p.Name)
		}
	}
	return nil
}

// applyPolicies replaces named policies.
func (c Config) applyPolicies(all map[string]contract.Policy) error {
	for _, p := range c.RatePolicies {
		var n [3]int
		for i, text := range strings.SplitN(p.value, "/", len(n)) {
			n[i], _ = strconv.Atoi(text)
		}
		if n[0] < 1 || n[1] < 1 || n[2] < 1 {
			return fmt.Errorf("SENDTIP_RATE_POLICIES: %s: limit/window_s/burst is expected", p.Name)
		}
		all[p.Name] = contract.Policy{Name: p.Name, Limit: n[0], Window: time.Duration(n[1]) * time.Second, Burst: n[2]}
	}
	return nil
}
