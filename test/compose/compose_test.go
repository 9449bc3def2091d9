// Package compose_test checks docker-compose.yml without a Docker engine: that it is a valid Compose file, that each service would accept
// the settings that it gets there, and that addresses, volumes and programs lead somewhere.
package compose_test

import (
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/gateway"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/sandbox"
)

const root = "../.."

func load(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("docker-compose.yml is not valid: %v", err)
	}
	return p
}

func TestEachServiceAcceptsItsSettings(t *testing.T) {
	t.Parallel()
	p, dealt := load(t), dealKeys(t)
	for _, name := range platform.Services {
		s, ok := p.Services[name]
		if !ok {
			t.Errorf("%s is missing", name)
			continue
		}
		e := environ(t, s, dealt)
		if err := platform.CheckService(name, e); err != nil {
			t.Errorf("%s refuses its settings: %v", name, err)
			continue
		}
		c, err := config.Load[config.Common](e)
		if err != nil {
			t.Fatal(err)
		}
		if name == "gateway" {
			checkGateway(t, e)
		}
		if want := port(t, c.OpsListen); !strings.Contains(strings.Join(s.HealthCheck.Test, " "), "127.0.0.1:"+want+"/readyz") {
			t.Errorf("%s is not asked for readiness on its operations port %s", name, want)
		}
		if c.Kafka.User != name {
			t.Errorf("%s speaks to the broker as %q", name, c.Kafka.User)
		}
		u, err := url.Parse(c.DatabaseURL.Reveal())
		if err != nil || u.Hostname() != "postgres" || u.Path != "/"+name || u.User.Username() != name+"_app" {
			t.Errorf("%s has not the address of its database", name)
		}
	}
}

// checkGateway looks for what the gateway must know of every service.
func checkGateway(t *testing.T, e map[string]string) {
	t.Helper()
	c, err := gateway.LoadConfig(e)
	if err != nil || len(c.Upstreams) != len(platform.Services)-1 {
		t.Errorf("the gateway knows %d upstreams: %v", len(c.Upstreams), err)
	}
	for _, s := range platform.Services {
		is := func(k gateway.Pair) bool { return k.Name == s }
		if !slices.ContainsFunc(c.IdentityKeys, is) || !slices.ContainsFunc(c.ServiceKeyHashes, is) {
			t.Errorf("the gateway has no keys of %s", s)
		}
	}
}

// A service whose secrets another service can read is not apart from it.
func TestEachServiceSeesItsOwnKeysOnly(t *testing.T) {
	t.Parallel()
	p := load(t)
	for _, name := range platform.Services {
		for _, v := range p.Services[name].Volumes {
			if name == "transactions" && v.Source == "checkpoints" {
				continue // public, and written by the ledger
			}
			if v.Source != "keys-"+name || !v.ReadOnly {
				t.Errorf("%s has the volume %s (read only: %t)", name, v.Source, v.ReadOnly)
			}
		}
	}
	for name, s := range p.Services { // the folder of all keys opens everything
		for _, v := range s.Volumes {
			if v.Source == "keys" && !slices.Contains([]string{"keys", "migrate", "topics"}, name) {
				t.Errorf("%s has the volume of all keys", name)
			}
		}
	}
	dealt := filepath.Join(dealKeys(t), "postgres", "password")
	if b, err := os.ReadFile(dealt); err != nil || strings.TrimSpace(string(b)) == "" ||
		*p.Services["postgres"].Environment["POSTGRES_PASSWORD_FILE"] != "/keys/password" {
		t.Errorf("the database server has no password: %v", err)
	}
	for _, name := range []string{"keys", "migrate", "topics"} {
		if p.Services[name].Restart != "" {
			t.Errorf("%s must run once", name)
		}
	}
}

// The broker and Redis let nobody in who does not know a password, and get that from their own volume only.
func TestBrokerAndRedisAskWhoSpeaks(t *testing.T) {
	t.Parallel()
	p, dealt := load(t), dealKeys(t)
	all := map[string]string{"redpanda": "enable_sasl=true|admin_api_require_auth=true|superusers=['admin']|RP_BOOTSTRAP_USER=\"admin:",
		"redis": "requirepass"}
	seen := map[string]string{}
	for name, wanted := range all {
		s := p.Services[name]
		command := strings.Join(s.Command, " ")
		for _, part := range strings.Split(wanted, "|") {
			if !strings.Contains(command, part) {
				t.Errorf("%s is started without %s: %s", name, part, command)
			}
		}
		if !strings.Contains(command, "cat /keys/password") || !slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Source == "keys-"+name && v.Target == "/keys" && v.ReadOnly
		}) {
			t.Errorf("%s does not read its password from its own volume", name)
		}
		files, err := os.ReadDir(filepath.Join(dealt, name))
		if err != nil || len(files) != 1 || files[0].Name() != "password" {
			t.Errorf("the volume of %s holds %v %v", name, files, err)
		}
		password, err := os.ReadFile(filepath.Join(dealt, name, "password"))
		if err != nil || len(strings.TrimSpace(string(password))) < 32 {
			t.Errorf("%s has no password: %v", name, err)
		}
		seen[name] = string(password)
	}
	redis, err := os.ReadFile(filepath.Join(dealt, "gateway", "redis-password"))
	if err != nil || string(redis) != seen["redis"] || seen["redis"] == seen["redpanda"] {
		t.Errorf("the gateway has another password of Redis than Redis: %v", err)
	}
	if *p.Services["topics"].Environment["SENDTIP_KAFKA_SASL"] != "true" {
		t.Error("the topics are made as nobody")
	}
}

// Every host:port in a setting is a service of the file that listens on that port.
func TestAddressesLeadToListeners(t *testing.T) {
	t.Parallel()
	p := load(t)
	listens := map[string][]string{"postgres": {"5432"}, "redis": {"6379"}, "redpanda": {"9092"}}
	for name, s := range p.Services {
		for _, key := range []string{"SENDTIP_LISTEN", "SENDTIP_OPS_LISTEN", "SENDTIP_INTERNAL_LISTEN", "SENDTIP_SANDBOX_ADDR",
			"SENDTIP_SANDBOX_SMTP_ADDR"} {
			if v := s.Environment[key]; v != nil {
				listens[name] = append(listens[name], port(t, *v))
			}
		}
		for _, published := range s.Ports {
			if published.HostIP != "127.0.0.1" || published.Published == "" {
				t.Errorf("%s publishes %d to every network", name, published.Target)
			}
		}
	}
	checked := 0
	address := regexp.MustCompile(`(?:^|//)([a-z]+):(\d+)(?:/\d)?$`)
	for name, s := range p.Services {
		for key, v := range s.Environment {
			m := address.FindStringSubmatch(*v)
			if m == nil {
				continue
			}
			checked++
			if !slices.Contains(listens[m[1]], m[2]) {
				t.Errorf("%s of %s leads to %s, where nothing listens", key, name, *v)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d addresses were found", checked)
	}
	for name, s := range p.Services {
		for _, published := range s.Ports {
			if !slices.ContainsFunc(listens[name], func(l string) bool { return l == published.Published }) {
				t.Errorf("%s publishes port %s, where nothing listens", name, published.Published)
			}
		}
	}
}

// The ports inside are those of the documents, and the sandbox's credentials are those that the sandbox takes.
func TestAgreesWithTheOneBinary(t *testing.T) {
	t.Parallel()
	p := load(t)
	set, err := keys.Init(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range platform.Services {
		one, err := platform.ServiceEnviron(platform.Ports{Base: platform.DefaultPortBase}, set, "postgres://postgres@127.0.0.1/postgres",
			[]string{"127.0.0.1:1"}, nil, name)
		if err != nil {
			t.Fatal(err)
		}
		here := p.Services[name].Environment
		for key, v := range one {
			mine := here[key]
			switch {
			case mine == nil: // the one binary gives every service the credentials of all providers
				if !provider(key) {
					t.Errorf("%s has no %s", name, key)
				}
			case key == "SENDTIP_WEBHOOK_SOURCES": // the same hooks, from this file's network
				subnet := p.Networks["default"].Ipam.Config[0].Subnet
				if *mine != strings.ReplaceAll(v, "127.0.0.2/32", subnet) {
					t.Errorf("%s of %s is %s, and the network is %s", key, name, *mine, subnet)
				}
			case strings.HasSuffix(key, "_LISTEN"):
				if port(t, *mine) != port(t, v) {
					t.Errorf("%s of %s: %s, in the one binary %s", key, name, *mine, v)
				}
			case provider(key) && !strings.HasSuffix(key, "_URL") && !strings.HasSuffix(key, "_ADDR"):
				if *mine != v {
					t.Errorf("%s of %s is not what the sandbox takes", key, name)
				}
			}
		}
	}
	cfg := p.Services["sandbox"].Environment
	if _, err := sandbox.New(sandbox.Config{Environment: *cfg["SENDTIP_ENV"]}); err != nil {
		t.Error(err)
	}
}

// TestSandboxKeepsRegistrations: wallet registers at its own start, for confirmations and for Pull Transactions, and a restart of the
// sandbox alone must not undo that.
func TestSandboxKeepsRegistrations(t *testing.T) {
	t.Parallel()
	p := load(t)
	if n := p.Services["wallet"].Environment["SENDTIP_DARAJA_PULL_NUMBER"]; n == nil || *n != sandbox.DefaultPullNumber {
		t.Error("wallet nominates no number for Pull Transactions")
	}
	box := p.Services["sandbox"]
	dir := box.Environment["SENDTIP_SANDBOX_DIR"]
	if dir == nil || !slices.ContainsFunc(box.Volumes,
		func(v types.ServiceVolumeConfig) bool { return v.Type == "volume" && v.Target == *dir && !v.ReadOnly }) {
		t.Fatal("the sandbox's folder is no volume")
	}
	image, err := os.ReadFile(filepath.Join(root, "deploy", "Dockerfile"))
	if err != nil || !regexp.MustCompile(`install -d -o 65532 -g 65532 [^\n]*`+regexp.QuoteMeta(*dir)+`\b`).Match(image) {
		t.Errorf("the image has no %s that its user may write: %v", *dir, err)
	}
}

func provider(key string) bool {
	return slices.ContainsFunc([]string{"DARAJA", "B2C", "PAYSTACK", "DEPOSIT", "SMILEID", "AT", "SMTP", "MAIL"},
		func(p string) bool { return strings.HasPrefix(key, "SENDTIP_"+p+"_") })
}

// Each container of ours starts a program that the image has, and depends on what it talks to.
func TestProgramsAreInTheImage(t *testing.T) {
	t.Parallel()
	p := load(t)
	file, err := os.ReadFile(filepath.Join(root, "deploy", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{"sh": true, "sendtip-keys": true}
	for _, m := range regexp.MustCompile(` \./([a-z*/]+)`).FindAllStringSubmatch(string(file), -1) {
		programs, err := filepath.Glob(filepath.Join(root, m[1], "main.go"))
		if err != nil || len(programs) == 0 {
			t.Errorf("the Dockerfile builds %s: %v", m[1], err)
		}
		for _, p := range programs {
			have[filepath.Base(filepath.Dir(p))] = true
		}
	}
	ours := 0
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		ours++
		if len(s.Command) == 0 || !have[s.Command[0]] {
			t.Errorf("%s starts %v, which the image has not", name, s.Command)
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
	}
	if ours != len(platform.Services)+4 {
		t.Errorf("%d containers of ours", ours)
	}
	for _, name := range platform.Services {
		for _, before := range []string{"keys", "migrate", "topics"} {
			if d := p.Services[name].DependsOn[before]; d.Condition != types.ServiceConditionCompletedSuccessfully {
				t.Errorf("%s does not wait for %s", name, before)
			}
		}
	}
	for name, s := range p.Services {
		for _, d := range slices.Sorted(maps.Keys(s.DependsOn)) {
			if s.DependsOn[d].Condition == types.ServiceConditionHealthy && p.Services[d].HealthCheck == nil {
				t.Errorf("%s waits for the health of %s, which has no check", name, d)
			}
		}
	}
}

// dealKeys runs the script of the keys container on real keys and returns the folder with one folder per service.
func dealKeys(t *testing.T) string {
	t.Helper()
	all, dealt, bin := t.TempDir(), t.TempDir(), t.TempDir()
	if _, err := keys.Init(filepath.Join(all, "keys")); err != nil {
		t.Fatal(err)
	}
	// `sendtip keys init` would make the same files with the function above, and `sendtip keys services` prints the same names.
	program := "#!/bin/sh\ncase \"$*\" in\n\"keys init --dir " + all + "\") ;;\n\"keys services\") echo " + strings.Join(keys.Services, " ") +
		" ;;\n*) exit 1 ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(bin, "sendtip"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "deploy", "keys.sh"), all, dealt)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "POSTGRES_HOST=postgres"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dealt
}

// environ is a container's environment with /keys mapped to the folder that its volume was filled from.
func environ(t *testing.T, s types.ServiceConfig, dealt string) map[string]string {
	t.Helper()
	e := map[string]string{}
	for k, v := range s.Environment {
		if v == nil {
			t.Errorf("%s of %s has no value", k, s.Name)
			continue
		}
		e[k] = *v
		if path, ok := strings.CutPrefix(*v, "file:/keys/"); ok {
			e[k] = "file:" + filepath.Join(dealt, s.Name, path)
		} else if strings.HasPrefix(*v, "file:") {
			t.Errorf("%s of %s is a file outside /keys", k, s.Name)
		}
	}
	return e
}

func port(t *testing.T, listen string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
