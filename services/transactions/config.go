package transactions

import (
	"errors"
	"fmt"

	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// Config is the service's settings.
type Config struct {
	Common config.Common

	// Origin names this ledger on its checkpoints and keys; it must never change, and no two ledgers may share it.
	Origin string `env:"SENDTIP_LEDGER_ORIGIN" envDefault:"sendtip.local/ledger"`
	// SigningKey signs checkpoints: an Ed25519 private key in PEM (PKCS #8), as a value or file:/path.
	SigningKey config.Secret `env:"SENDTIP_SIGNING_KEY"`
	// SigningKeyPrevious signs too while keys are rotated, so that those who know only the old key can follow.
	SigningKeyPrevious config.Secret `env:"SENDTIP_SIGNING_KEY_PREVIOUS"`
	// CheckpointFile is where checkpoints are appended, on a disk that the database's superuser does not reach. Empty: nowhere.
	CheckpointFile string `env:"SENDTIP_CHECKPOINT_FILE"`
}

// LoadConfig reads the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Validate names the first setting that is missing.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	if !c.SigningKey.Set() {
		return errors.New("SENDTIP_SIGNING_KEY is not set: `sendtip keys init` makes the key")
	}
	if c.Common.Production() && c.CheckpointFile == "" {
		return errors.New("SENDTIP_CHECKPOINT_FILE is not set: without checkpoints outside the database its superuser could cut the ledger's end unseen")
	}
	_, err := c.sealer()
	return err
}

// sealer makes the signers of the keys.
func (c Config) sealer() (app.Sealer, error) {
	s := app.Sealer{Origin: c.Origin, File: c.CheckpointFile}
	for _, secret := range []config.Secret{c.SigningKey, c.SigningKeyPrevious} {
		if !secret.Set() {
			continue
		}
		key, err := proof.ParseKey(c.Origin, []byte(secret.Reveal()))
		if err != nil {
			return s, fmt.Errorf("SENDTIP_SIGNING_KEY, SENDTIP_SIGNING_KEY_PREVIOUS or SENDTIP_LEDGER_ORIGIN: %w", err)
		}
		s.Signers = append(s.Signers, key.Signer)
		s.VerifierKeys = append(s.VerifierKeys, key.VerifierKey)
	}
	return s, nil
}
