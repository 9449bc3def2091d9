package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

func resetCommand(f *flags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "reset", Short: "Delete this folder's platform with all its data and keys (development only)", Args: cobra.NoArgs,
		Long: "As root the embedded database lies outside the folder, so deleting the folder alone would leave data that the next keys cannot open.",
		RunE: func(c *cobra.Command, _ []string) error {
			if !yes {
				return errors.New("this deletes every account and key of " + f.dir + ": say --yes")
			}
			if err := platform.Remove(c.Context(), f.dir); err != nil {
				return err
			}
			c.Println(f.dir, "is gone; the next `sendtip up` starts from nothing")
			return nil
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, delete it")
	return cmd
}
