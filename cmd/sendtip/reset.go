package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

func resetCommand(f *flags) *cobra.Command {
	var yes, withKeys bool
	cmd := &cobra.Command{Use: "reset",
		Short: "Delete this folder's platform with all its data (development only); the keys are kept in a folder next to it", Args: cobra.NoArgs,
		Long: "Deletes only what SENDTIP created in the folder: the database (as root, it is outside the folder), events and logs. It refuses\n" +
			"a folder in which no platform was ever started, and one whose platform is running. The keys are moved to a dated folder next to\n" +
			"it, unless --keys is given: without them, nothing that was sealed under them can be read, not even in backups.",
		RunE: func(c *cobra.Command, _ []string) error {
			o := platform.ResetOptions{Dir: f.dir, Keys: withKeys, DryRun: !yes, Now: time.Now(), Say: func(s string) { c.Println(" ", s) }}
			err := platform.Reset(c.Context(), o)
			if errors.Is(err, platform.ErrNothing) && yes {
				c.Println(err)
				return nil
			}
			if err != nil {
				return err
			}
			if !yes {
				return fmt.Errorf("nothing was deleted: add --yes to delete %s", f.dir)
			}
			c.Println("the next `sendtip up` in", f.dir, "starts from scratch")
			return nil
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm the deletion")
	cmd.Flags().BoolVar(&withKeys, "keys", false, "delete the keys too")
	return cmd
}
