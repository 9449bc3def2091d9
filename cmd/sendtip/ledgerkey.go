package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

func ledgerKeyCommand(f *flags) *cobra.Command {
	var rotate bool
	cmd := &cobra.Command{Use: "key", Short: "Print the public keys of the ledger, or make a new signing key", Args: cobra.NoArgs,
		Long: "The first line is the current signing key. Give it to auditors and customers through a channel that they trust.\n" +
			"--rotate makes a new key; the old one also signs until its file is deleted, so that those who know only the old key can " +
			"follow.",
		RunE: func(c *cobra.Command, _ []string) error {
			if rotate {
				if err := f.rotate(); err != nil {
					return err
				}
			}
			list, err := f.localKeys()
			if err != nil {
				return err
			}
			if rotate {
				c.PrintErrln("the first key is new: restart the ledger (and its replicas) to sign with it and with the previous one, give it to " +
					"everyone who verifies,\n" +
					"and once they have it, delete " + filepath.Join(f.dir, "keys", keys.LedgerSigningPrevious) + " and restart again")
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(list, "\n"))
			return err
		}}
	cmd.Flags().BoolVar(&rotate, "rotate", false, "make a new signing key and keep the current one as the previous key")
	return cmd
}

func origin() string { return env("SENDTIP_LEDGER_ORIGIN", "sendtip.local/ledger") }

// rotate notes the public part of the present key and makes a new one.
func (f *flags) rotate() error {
	list, err := f.localKeys()
	if err != nil {
		return err
	}
	return keys.RotateLedger(filepath.Join(f.dir, "keys"), list)
}

// localKeys are the public keys of this folder's platform: the one that signs now, the previous one, and earlier ones. Nothing is made.
func (f *flags) localKeys() (list []string, err error) {
	dir := filepath.Join(f.dir, "keys")
	for _, name := range []string{keys.LedgerSigning, keys.LedgerSigningPrevious} {
		pem, err := os.ReadFile(filepath.Join(dir, name)) // #nosec G304 -- our own folder
		if errors.Is(err, os.ErrNotExist) && name == keys.LedgerSigningPrevious {
			continue
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("there is no signing key in %s: give the ledger's public key with --key, or its folder with --dir", dir)
		}
		if err != nil {
			return nil, fmt.Errorf("the signing key %s cannot be read: run this as the user who owns it", name)
		}
		key, err := proof.ParseKey(origin(), pem)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: restore the file, or set SENDTIP_LEDGER_ORIGIN to the ledger's name", name, err)
		}
		if !slices.Contains(list, key.VerifierKey) { // the same one after a rotation that was interrupted
			list = append(list, key.VerifierKey)
		}
	}
	earlier, err := os.ReadFile(filepath.Join(dir, keys.LedgerPublic)) // #nosec G304
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the earlier public keys: %w", err)
	}
	for _, k := range strings.Fields(string(earlier)) {
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list, nil
}

// publicKeys are the given ones, each a key or a file of keys, or those of this folder's platform.
func (f *flags) publicKeys(given []string) (list []string, err error) {
	if len(given) == 0 {
		return f.localKeys()
	}
	for _, g := range given {
		words := []string{g}
		if data, err := os.ReadFile(g); err == nil { // #nosec G304 -- the operator's own choice
			words = strings.Fields(string(data))
		}
		for _, k := range words {
			if _, err := note.NewVerifier(k); err != nil {
				return nil, fmt.Errorf(
					"--key %.80q is neither a ledger's public key (name+hash+base64, as `sendtip ledger key` prints it) nor a file of public keys", g)
			}
			if !slices.Contains(list, k) {
				list = append(list, k)
			}
		}
	}
	if len(list) == 0 {
		return nil, errors.New("--key names a file that contains no keys")
	}
	return list, nil
}
