package domain_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func TestBaseLanguage(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"en": "en", "sw": "sw", "fr": "fr", "luo": "luo", "kam-KE": "kam", "en-KE": "en", "EN-ke": "en", "en_KE": "en", "som": "so", "iw": "he",
		"en-KE-u-fw-mon-ms-metric": "en", "sw-Latn-KE": "sw", "en-001": "en", "es-419": "es", "sw-KE-u-ca-gregory-nu-latn": "sw",
		"zh-Hans-CN": "zh", "sr-Latn-RS": "sr", "sl-rozaj-biske-1994": "sl", "de-CH-1996": "de", "en-t-sw": "en", "en-a-bbb-x-y": "en",
		"en-x-1":     "en",
		"sw-Zzzy-KE": "sw", "sw-ZZ": "sw", "i-klingon": "tlh", // a script that nobody registered, a region of nobody, a tag from before the rules
		"und": "en", "und-KE": "en", "x-foo": "en", "i-default": "en", "zzx": "en", "zzx-KE": "en", "abcd": "en", "abcdefgh-KE-u-fw-mon": "en",
		"en-" + strings.Repeat("x-abcdefgh", 1) + strings.Repeat("-abcdefgh", 26): "en",
	} {
		if got, err := domain.BaseLanguage(tag); err != nil || got != want {
			t.Errorf("BaseLanguage(%q) = %q, %v, want %q", tag, got, err, want)
		}
	}
	for _, tag := range []string{"", "a", "e n", "-en", "en-", "en-u", "en--KE", "en-123456789", "abcdefghi", "<script>", "en\x00",
		"English, please"} {
		if got, err := domain.BaseLanguage(tag); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("BaseLanguage(%q) = %q, %v, want a refusal", tag, got, err)
		}
	}
}

// FuzzBaseLanguage: whatever is sent, what is kept has the contract's form.
func FuzzBaseLanguage(f *testing.F) {
	form := regexp.MustCompile(`^[a-z]{2,3}$`)
	for _, tag := range []string{"en", "sw-Latn-KE", "en-KE-u-fw-mon-ms-metric", "x-foo", "i-klingon", "abcd-KE", "zh-min", "sgn-BE-FR", ""} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if got, err := domain.BaseLanguage(tag); err == nil && !form.MatchString(got) {
			t.Errorf("BaseLanguage(%q) = %q", tag, got)
		}
	})
}
