package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

func verifyReceiptCommand(f *flags) *cobra.Command {
	var given []string
	cmd := &cobra.Command{Use: "verify-receipt FILE",
		Short: "Verify a receipt with nothing but the ledger's public key, and show what it proves", Args: cobra.ExactArgs(1),
		Long: "Requires neither a network nor a database. Get the public key from the ledger's operator through a different channel from the " +
			"receipt.",
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := f.publicKeys(given)
			if err != nil {
				return err
			}
			data, err := readReceipt(args[0])
			if err != nil {
				return err
			}
			known, err := proof.Verifiers(keys...)
			if err != nil {
				return err
			}
			v, err := proof.Verify(data, known)
			if err != nil {
				_, _ = fmt.Fprintf(c.OutOrStdout(), "the receipt proves NOTHING: %v\nwhat to do: %s\n", err, receiptRemedy(err))
				return errFailed
			}
			sayReceipt(c.OutOrStdout(), &v)
			return nil
		}}
	cmd.Flags().StringArrayVar(&given, "key", nil,
		"public key of the ledger, or a file of public keys; can be given more than once (default: this folder's platform)")
	return cmd
}

func readReceipt(name string) ([]byte, error) {
	file, err := os.Open(name) // #nosec G304 -- the user's own choice
	if err != nil {
		return nil, fmt.Errorf("the receipt %s cannot be read: check the name", name)
	}
	defer func() { _ = file.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(file, proof.MaxReceipt+1))
	if err != nil {
		return nil, fmt.Errorf("the receipt %s cannot be read", name)
	}
	return data, nil
}

func receiptRemedy(err error) string {
	switch {
	case errors.Is(err, proof.ErrSignature):
		return "if the receipt is from another ledger, or was signed with an earlier key, give that public key with --key; otherwise do not " +
			"accept it"
	case errors.Is(err, proof.ErrMalformed):
		return "get the file again exactly as the ledger issued it; a receipt that is still pending has no proof yet"
	}
	return "do not accept it: it was changed after the ledger issued it, or is from another ledger; ask the ledger's operator, quoting the " +
		"reference"
}

// sayReceipt says in plain words what was proved.
func sayReceipt(out io.Writer, v *proof.Verified) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	h := &v.Header
	say("The receipt is genuine. The ledger %s has signed the following:", v.Checkpoint.Origin)
	say("  transaction  %s (%s, type %s, channel %s)", h.ID, h.Action, h.Type, h.Channel)
	say("  reference    %s", h.Reference)
	say("  recorded     %s", h.RecordedAt.UTC().Format(time.RFC3339Nano))
	if !h.EffectiveAt.IsZero() {
		say("  effective    %s", h.EffectiveAt.UTC().Format(time.RFC3339Nano))
	}
	for _, e := range v.Entries {
		direction, way := "received", "to"
		if e.Side == proof.Debit {
			direction, way = "paid", "from"
		}
		say("  %-12s %s %s account %s%s, balance after: %s", direction, amount(e.Amount, e.Currency), way, e.Account, inBook(e.Book),
			amount(e.Balance, e.Currency))
	}
	if v.Hold != nil {
		say("  reserved     %s on account %s%s", amount(v.Hold.Amount, v.Hold.Currency), v.Hold.Account, inBook(v.Hold.Book))
	}
	if o := v.Outcome; o != nil && o.HoldDelta < 0 {
		say("  hold         %s, reduced by %d minor units", o.HoldID, -o.HoldDelta)
	}
	for _, k := range slices.Sorted(maps.Keys(v.Metadata)) {
		say("  fact         %q: %q", k, v.Metadata[k])
	}
	if v.Hidden > 0 {
		say("  not shown    %d parts of the transaction", v.Hidden)
	}
	say("  proof        leaf %d of a tree of %d, signed with the key %s", v.Index, v.Checkpoint.Size, v.Key)
}

// inBook says the book of an account; receipts of the first version have none.
func inBook(book string) string {
	if book == "" {
		return ""
	}
	return " (book " + book + ")"
}

// amount is minor units as people read them.
func amount(minor int64, currency string) string {
	return money.Money{Amount: minor, Currency: currency}.Format()
}
