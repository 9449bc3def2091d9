package platform

import (
	"encoding/base64"
	"maps"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/sandbox"
)

// environ is the whole environment of one service. In the one process and as a process of its own it is the same.
func (p *Platform) environ(name string) (map[string]string, error) {
	given := maps.Clone(p.o.Environ)
	given["SENDTIP_REDIS_URL"] = p.parts.redisURL
	if p.parts.embeds("redis") {
		given["SENDTIP_REDIS_PASSWORD"] = p.keys.File(keys.RedisPassword)
	}
	if offset := p.o.Clock.Offset(); offset != 0 {
		given[offsetSetting] = offset.String()
	}
	return ServiceEnviron(p.o.Ports, p.keys, p.parts.adminURL, p.parts.brokers, given, name)
}

// ServiceEnviron is the environment that a service needs on a platform of these ports, keys and addresses; given settings are kept
// where the platform has no better knowledge.
func ServiceEnviron(ports Ports, set keys.Set, adminURL string, brokers []string, given map[string]string, name string) (map[string]string,
	error) {
	e := map[string]string{"SENDTIP_ENV": "development", "SENDTIP_LOG_LEVEL": "info"}
	if given["SENDTIP_ENV"] != "production" { // there a forgotten credential must be missing, not the sandbox's
		maps.Copy(e, providerDefaults(ports))
		if given["SENDTIP_DARAJA_URL"] == "" { // a number of the sandbox's must never be nominated at Safaricom
			e["SENDTIP_DARAJA_PULL_NUMBER"] = sandbox.DefaultPullNumber
		}
	}
	maps.Copy(e, given)
	for _, superusers := range []string{"SENDTIP_POSTGRES_URL", adminUserSetting, adminPasswordSetting, saslSetting} {
		delete(e, superusers) // no service's business
	}
	password, err := set.Read(keys.Of(name, keys.AppPassword))
	if err != nil {
		return nil, err
	}
	database, err := roleURL(adminURL, name, name+"_app", password)
	if err != nil {
		return nil, err
	}
	maps.Copy(e, map[string]string{
		"SENDTIP_LISTEN":        loopback(ports.Of(name)),
		"SENDTIP_OPS_LISTEN":    loopback(ports.Ops(name)),
		"SENDTIP_DATABASE_URL":  database,
		"SENDTIP_KAFKA_BROKERS": strings.Join(brokers, ","),
		"SENDTIP_GATEWAY_URL":   "http://" + loopback(ports.Internal()),
		"SENDTIP_IDENTITY_KEY":  set.File(keys.Of(name, keys.Identity)),
		"SENDTIP_SERVICE_KEY":   set.File(keys.Of(name, keys.Service)),
		"SENDTIP_KEK":           set.File(keys.Of(name, keys.KEK)),
	})
	if err := kafkaEnviron(e, given, set, name); err != nil {
		return nil, err
	}
	if e["SENDTIP_PUBLIC_URL"] == "" {
		e["SENDTIP_PUBLIC_URL"] = "http://" + loopback(ports.Of("gateway"))
	}
	if name == "gateway" {
		return e, gatewayEnviron(e, ports, set)
	}
	delete(e, "SENDTIP_REDIS_URL") // the gateway's alone
	delete(e, "SENDTIP_REDIS_PASSWORD")
	switch name {
	case "transactions":
		e["SENDTIP_POOL_SIZE"] = "32"
		e["SENDTIP_SIGNING_KEY"] = set.File(keys.LedgerSigning)
		if set.Has(keys.LedgerSigningPrevious) {
			e["SENDTIP_SIGNING_KEY_PREVIOUS"] = set.File(keys.LedgerSigningPrevious)
		}
		if e["SENDTIP_CHECKPOINT_FILE"] == "" {
			e["SENDTIP_CHECKPOINT_FILE"] = set.Beside(checkpointName)
		}
	case "user":
		e["SENDTIP_SIGNING_KEY"] = set.File(keys.UserSigning)
	}
	return e, nil
}

// kafkaEnviron says as whom the service speaks to the broker.
func kafkaEnviron(e, given map[string]string, set keys.Set, name string) error {
	if given["SENDTIP_KAFKA_BROKERS"] == "" { // these are of a given broker
		delete(e, "SENDTIP_KAFKA_TLS")
		delete(e, "SENDTIP_KAFKA_CA")
	}
	named, err := usersOfKeys(given)
	if err == nil && named {
		e["SENDTIP_KAFKA_USER"], e["SENDTIP_KAFKA_PASSWORD"] = name, set.File(keys.Of(name, keys.KafkaPassword))
	}
	return err
}

// gatewayEnviron adds what only the gateway knows: where services are, each one's identity key, and the hashes of their service keys.
func gatewayEnviron(e map[string]string, ports Ports, set keys.Set) error {
	e["SENDTIP_INTERNAL_LISTEN"] = loopback(ports.Internal())
	if e["SENDTIP_WEBHOOK_SOURCES"] == "" && e["SENDTIP_ENV"] != "production" {
		// the sandbox sends from there, and nothing else does
		e["SENDTIP_WEBHOOK_SOURCES"] = "st=127.0.0.2/32,cb=127.0.0.2/32,br=127.0.0.2/32,bp=127.0.0.2/32,wr=127.0.0.2/32,ky=127.0.0.2/32," +
			"sm=127.0.0.2/32"
	}
	e["SENDTIP_DELEGATION_KEY"] = set.File(keys.Delegation)
	var hashes, identities []string
	for _, s := range Services {
		if s != "gateway" {
			e["SENDTIP_UPSTREAM_"+strings.ToUpper(s)] = "http://" + loopback(ports.Of(s))
		}
		key, err := set.Read(keys.Of(s, keys.Service))
		if err != nil {
			return err
		}
		hashes = append(hashes, s+"="+keys.Hash(key))
		identity, err := set.Read(keys.Of(s, keys.Identity)) // not its file: the folder's name may have a comma, which ends a pair
		if err != nil {
			return err
		}
		identities = append(identities, s+"="+base64.StdEncoding.EncodeToString(config.NewSecret(identity).Bytes()))
	}
	e["SENDTIP_SERVICE_KEY_HASHES"] = strings.Join(hashes, ",")
	e["SENDTIP_IDENTITY_KEYS"] = strings.Join(identities, ",")
	return nil
}

// providerDefaults point every provider at the sandbox; real addresses and credentials in the environment win.
func providerDefaults(ports Ports) map[string]string {
	url := "http://" + loopback(ports.Sandbox())
	return map[string]string{
		"SENDTIP_DARAJA_URL": url, "SENDTIP_DARAJA_CONSUMER_KEY": sandbox.DefaultConsumerKey,
		"SENDTIP_DARAJA_CONSUMER_SECRET": sandbox.DefaultConsumerSecret,
		"SENDTIP_DARAJA_SHORT_CODE":      sandbox.DefaultShortCode, "SENDTIP_DARAJA_PASSKEY": sandbox.DefaultPasskey,
		"SENDTIP_DARAJA_INITIATOR": sandbox.DefaultInitiator, "SENDTIP_DARAJA_INITIATOR_PASSWORD": sandbox.DefaultInitiatorPassword,
		"SENDTIP_DARAJA_CERTIFICATE": sandbox.DefaultCertificate,
		"SENDTIP_B2C_CONSUMER_KEY":   sandbox.DefaultConsumerKey, "SENDTIP_B2C_CONSUMER_SECRET": sandbox.DefaultConsumerSecret,
		"SENDTIP_B2C_SHORT_CODE": sandbox.DefaultB2CShortCode, "SENDTIP_B2C_INITIATOR": sandbox.DefaultInitiator,
		"SENDTIP_B2C_INITIATOR_PASSWORD": sandbox.DefaultInitiatorPassword, "SENDTIP_B2C_CERTIFICATE": sandbox.DefaultCertificate,
		"SENDTIP_DEPOSIT_EMAIL_DOMAIN": "deposits.sendtip.example",
		"SENDTIP_PAYSTACK_URL":         url,
		"SENDTIP_PAYSTACK_SECRET_KEY":  sandbox.DefaultPaystackKey,
		"SENDTIP_SMILEID_URL":          url, "SENDTIP_SMILEID_PARTNER_ID": sandbox.DefaultSmilePartnerID,
		"SENDTIP_SMILEID_API_KEY": sandbox.DefaultSmileAPIKey,
		"SENDTIP_AT_URL":          url, "SENDTIP_AT_USERNAME": sandbox.DefaultSMSUsername, "SENDTIP_AT_API_KEY": sandbox.DefaultSMSAPIKey,
		"SENDTIP_SMTP_ADDR": "127.0.0.1:" + strconv.Itoa(ports.SMTP()), "SENDTIP_MAIL_FROM": "no-reply@sendtip.example",
	}
}
