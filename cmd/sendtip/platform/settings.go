package platform

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sendtip/sendtip/kit/config"
)

// offsetSetting moves the clock of all parts.
const offsetSetting = "SENDTIP_CLOCK_OFFSET"

// CheckSettings names the first setting of `sendtip` itself that cannot be right. Those of services are checked by them.
func CheckSettings(environ map[string]string) error {
	rules := []config.Rule{
		config.Database("SENDTIP_POSTGRES_URL", environ["SENDTIP_POSTGRES_URL"]),
		config.URL("SENDTIP_PUBLIC_URL", environ["SENDTIP_PUBLIC_URL"]),
		{Name: "SENDTIP_POSTGRES_URL", Text: environ["SENDTIP_POSTGRES_URL"], Is: func(t string) bool { // the services' addresses are made of it
			return strings.HasPrefix(t, "postgres://") || strings.HasPrefix(t, "postgresql://")
		}, Want: "an address that begins with postgres://"},
		{Name: "SENDTIP_REDIS_URL", Text: environ["SENDTIP_REDIS_URL"],
			Is: func(t string) bool { _, err := redis.ParseURL(t); return err == nil }, Want: "an address such as redis://host:6379/0"},
	}
	rules = append(rules, config.Rule{Name: offsetSetting, Text: environ[offsetSetting], Is: func(t string) bool {
		_, err := time.ParseDuration(t)
		return err == nil
	}, Want: "a duration such as 744h"})
	for _, name := range []string{saslSetting, "SENDTIP_KAFKA_TLS"} {
		rules = append(rules, config.Rule{Name: name, Text: environ[name],
			Is: func(t string) bool { _, err := strconv.ParseBool(t); return err == nil }, Want: "true or false"})
	}
	if brokers := environ["SENDTIP_KAFKA_BROKERS"]; brokers != "" {
		for b := range strings.SplitSeq(brokers, ",") {
			if b == "" {
				return errors.New("SENDTIP_KAFKA_BROKERS must be a list of host:port separated by commas")
			}
			rules = append(rules, config.HostPort("SENDTIP_KAFKA_BROKERS", b))
		}
	}
	return config.Check(rules...)
}

// checkTargets names the first service that there is not.
func checkTargets(targets []string) error {
	for _, t := range targets {
		if !slices.Contains(Services, t) {
			return fmt.Errorf("--target names %q; the services are %s", t, strings.Join(Services, ", "))
		}
	}
	return nil
}
