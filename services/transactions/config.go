package transactions

import (
	"github.com/sendtip/sendtip/kit/config"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// Config is the service's settings.
type Config struct {
	Common config.Common

	// name of this ledger on its checkpoints and keys; no two ledgers share one, and it never changes
	Origin string `env:"SENDTIP_LEDGER_ORIGIN" envDefault:"sendtip.local/ledger" is:"required"`
	// Ed25519 private key in PEM (PKCS #8): the ledger's checkpoints
	SigningKey config.Secret `env:"SENDTIP_SIGNING_KEY" is:"required"`
	// signs too during a rotation, so that those who know only the old key can follow
	SigningKeyPrevious config.Secret `env:"SENDTIP_SIGNING_KEY_PREVIOUS"`
	// checkpoints are appended here, on a disk that the database's administrators do not write: its superuser could cut the ledger's end
	// unseen
	CheckpointFile string `env:"SENDTIP_CHECKPOINT_FILE" is:"production"`
}

// LoadConfig reads and checks the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Check are the rules that no other service has.
func (c Config) Check() error {
	ed25519 := func(pem string) bool { _, err := proof.ParseKey("any", []byte(pem)); return err == nil }
	const want = "an Ed25519 private key in PEM (PKCS #8)"
	return config.Check(
		config.Rule{Name: "SENDTIP_LEDGER_ORIGIN", Text: c.Origin, Is: proof.ValidOrigin, Want: "a name without blanks and plus signs"},
		config.Rule{Name: "SENDTIP_SIGNING_KEY", Text: c.SigningKey.Reveal(), Is: ed25519, Want: want},
		config.Rule{Name: "SENDTIP_SIGNING_KEY_PREVIOUS", Text: c.SigningKeyPrevious.Reveal(), Is: ed25519, Want: want})
}

func (c Config) signer() (app.CheckpointSigner, error) {
	return app.NewCheckpointSigner(c.Origin, c.CheckpointFile, c.SigningKey.Reveal(), c.SigningKeyPrevious.Reveal())
}
