package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/event"
)

// Settings of `sendtip` itself about a broker that is not the embedded one.
const (
	saslSetting          = "SENDTIP_KAFKA_SASL"           // true: the broker knows the users of the keys
	adminUserSetting     = "SENDTIP_KAFKA_ADMIN_USER"     // who may make users and grants
	adminPasswordSetting = "SENDTIP_KAFKA_ADMIN_PASSWORD" // #nosec G101 -- the name of a setting
	defaultAdmin         = "admin"
)

const (
	scramIterations = 4096 // RFC 7677 asks for at least as many; the passwords are random, 192 bits
	grantTimeout    = 10 * time.Second
	principalPrefix = "User:"
	anyHost         = "*"
)

// Broker is Kafka as one user of the deployment reaches it: a service, or keys.Tool. The embedded broker and a given one with
// SENDTIP_KAFKA_SASL=true know the users of the keys; any other takes SENDTIP_KAFKA_USER and SENDTIP_KAFKA_PASSWORD, if there are such.
func Broker(environ map[string]string, addresses []string, set keys.Set, user string) (event.Broker, error) {
	k, err := connection(environ, addresses)
	if err != nil {
		return event.Broker{}, err
	}
	named, err := usersOfKeys(environ)
	if err != nil {
		return event.Broker{}, err
	}
	if named {
		password, err := set.Read(keys.Of(user, keys.KafkaPassword))
		if err != nil {
			return event.Broker{}, err
		}
		k.User, k.Password = user, config.NewSecret(password)
	}
	return event.NewBroker(k)
}

// AdminBroker is Kafka as its superuser reaches it.
func AdminBroker(environ map[string]string, addresses []string, set keys.Set) (event.Broker, error) {
	k, err := connection(environ, addresses)
	if err != nil {
		return event.Broker{}, err
	}
	admin, err := config.Load[struct {
		User     string        `env:"SENDTIP_KAFKA_ADMIN_USER"`
		Password config.Secret `env:"SENDTIP_KAFKA_ADMIN_PASSWORD"`
	}](environ)
	if err != nil {
		return event.Broker{}, err
	}
	k.User, k.Password = admin.User, admin.Password
	if k.User == "" {
		k.User = defaultAdmin
	}
	if !k.Password.Set() {
		password, err := set.Read(keys.KafkaAdmin)
		if err != nil {
			return event.Broker{}, err
		}
		k.Password = config.NewSecret(password)
	}
	return event.NewBroker(k)
}

// connection is how to reach the broker, whoever asks: the settings of TLS are of a given one, the embedded one listens on this machine
// only.
func connection(environ map[string]string, addresses []string) (config.Kafka, error) {
	given := map[string]string{}
	maps.Copy(given, environ)
	given["SENDTIP_KAFKA_BROKERS"] = strings.Join(addresses, ",")
	k, err := config.Load[config.Kafka](given)
	if environ["SENDTIP_KAFKA_BROKERS"] == "" {
		k.TLS = false
	}
	return k, err
}

// usersOfKeys says whether the broker knows the users of `sendtip keys init`.
func usersOfKeys(environ map[string]string) (bool, error) {
	if environ["SENDTIP_KAFKA_BROKERS"] == "" {
		return true, nil
	}
	if environ[saslSetting] == "" {
		return false, nil
	}
	named, err := strconv.ParseBool(environ[saslSetting])
	if err != nil {
		return false, errors.New(saslSetting + " must be true or false")
	}
	return named, nil
}

// ApplyAccess makes the users of the keys at the broker, with the passwords of the keys, and lets each do what grants says and nothing
// else. Other users are left alone. It may run again at any time: after new passwords or new services.
func ApplyAccess(ctx context.Context, superuser event.Broker, set keys.Set) error {
	admin, err := sarama.NewClusterAdmin(superuser.Addresses, superuser.Config())
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = admin.Close() }()
	users := append(slices.Clone(keys.Services), keys.Tool)
	want, err := grants()
	if err != nil {
		return err
	}
	// Rights first, so that a user who can sign in can also work.
	if err := applyGrants(ctx, admin, users, want); err != nil {
		return err
	}
	return applyUsers(admin, users, set)
}

func applyUsers(admin sarama.ClusterAdmin, users []string, set keys.Set) error {
	var upserts []sarama.AlterUserScramCredentialsUpsert
	for _, user := range users {
		password, err := set.Read(keys.Of(user, keys.KafkaPassword))
		if err != nil {
			return err
		}
		salt := make([]byte, 32)
		_, _ = rand.Read(salt) // never fails
		upserts = append(upserts, sarama.AlterUserScramCredentialsUpsert{
			Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_512, Iterations: scramIterations, Salt: salt, Password: []byte(password),
		})
	}
	results, err := admin.UpsertUserScramCredentials(upserts)
	if err != nil {
		return fmt.Errorf("create the broker's users: %w", err)
	}
	for _, r := range results {
		if r.ErrorCode != sarama.ErrNoError {
			return fmt.Errorf("create the broker's user %s: %w", r.User, r.ErrorCode)
		}
	}
	return nil
}

// grant is one thing that a user may do.
type grant struct {
	user     string
	resource sarama.Resource
	may      sarama.AclOperation
}

// grants: only a topic's owner writes it; every service reads the topics of all, in consumer groups of its own name, and may write the dead
// letters, which the operator's tool reads and replays.
func grants() ([]grant, error) {
	topics, err := Topics()
	if err != nil {
		return nil, err
	}
	literal := func(name string) sarama.Resource {
		return sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: name, ResourcePatternType: sarama.AclPatternLiteral}
	}
	prefixed := func(kind sarama.AclResourceType, prefix string) sarama.Resource {
		return sarama.Resource{ResourceType: kind, ResourceName: prefix, ResourcePatternType: sarama.AclPatternPrefixed}
	}
	var all []grant
	for _, s := range keys.Services {
		all = append(all,
			grant{s, prefixed(sarama.AclResourceTopic, event.TopicPrefix+s+"."), sarama.AclOperationWrite},
			grant{s, literal(event.DeadTopic), sarama.AclOperationWrite},
			grant{s, prefixed(sarama.AclResourceGroup, s+"."), sarama.AclOperationRead})
		for _, t := range topics {
			if t.Name != event.DeadTopic {
				all = append(all, grant{s, literal(t.Name), sarama.AclOperationRead})
			}
		}
	}
	for _, may := range []sarama.AclOperation{sarama.AclOperationCreate, sarama.AclOperationRead, sarama.AclOperationWrite} {
		all = append(all, grant{keys.Tool, prefixed(sarama.AclResourceTopic, event.TopicPrefix), may})
	}
	return all, nil
}

// applyGrants takes back what our users have beyond what they should, grants what is missing, and returns when the broker acts by it: its
// answer to a grant says nothing (a refusal is dropped by the client), and brokers learn of one from each other.
func applyGrants(ctx context.Context, admin sarama.ClusterAdmin, users []string, want []grant) error {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	for {
		missing, excess, err := compareGrants(admin, users, want)
		if err != nil || len(missing)+len(excess) == 0 {
			return err
		}
		for _, filter := range excess {
			if _, err := admin.DeleteACL(filter, false); err != nil {
				return fmt.Errorf("revoke permissions at the broker: %w", err)
			}
		}
		if len(missing) > 0 {
			if err := admin.CreateACLs(missing); err != nil {
				return fmt.Errorf("grant permissions at the broker: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the broker still has %d grants too few and %d too many: is this user allowed to change them?", len(missing),
				len(excess))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// compareGrants returns what to grant and what to take back.
func compareGrants(admin sarama.ClusterAdmin, users []string, want []grant) (missing []*sarama.ResourceAcls, excess []sarama.AclFilter,
	err error) {
	found, err := admin.ListAcls(sarama.AclFilter{ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny,
		PermissionType: sarama.AclPermissionAny, Operation: sarama.AclOperationAny})
	if err != nil {
		return nil, nil, fmt.Errorf("read the broker's grants: %w", err)
	}
	have := map[grant]bool{}
	for _, r := range found {
		for _, a := range r.Acls {
			g := grant{strings.TrimPrefix(a.Principal, principalPrefix), r.Resource, a.Operation}
			switch {
			case !slices.Contains(users, g.user): // not ours
			case a.PermissionType == sarama.AclPermissionAllow && a.Host == anyHost && slices.Contains(want, g):
				have[g] = true
			default:
				excess = append(excess, sarama.AclFilter{ResourceType: r.ResourceType, ResourceName: &r.ResourceName,
					ResourcePatternTypeFilter: r.ResourcePatternType, Principal: &a.Principal, Host: &a.Host, Operation: a.Operation,
					PermissionType: a.PermissionType})
			}
		}
	}
	for _, g := range want {
		if !have[g] {
			missing = append(missing, &sarama.ResourceAcls{Resource: g.resource, Acls: []*sarama.Acl{
				{Principal: principalPrefix + g.user, Host: anyHost, Operation: g.may, PermissionType: sarama.AclPermissionAllow}}})
		}
	}
	return missing, excess, nil
}
