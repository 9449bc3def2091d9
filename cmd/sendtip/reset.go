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
		Short: "Delete this folder's platform with all its data (development only); its keys are kept beside it", Args: cobra.NoArgs,
		Long: "Deletes what SENDTIP made in the folder and nothing else: database (as root it lies outside the folder), events, logs. It " +
			"refuses a folder\n" +
			"on which no platform was started, and one whose platform runs. The keys are moved into a dated folder beside it, unless --keys is " +
			"given:\n" +
			"what was sealed under them, in backups too, can be read in no other way.",
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
			c.Println("the next `sendtip up` on", f.dir, "starts from nothing")
			return nil
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, delete it")
	cmd.Flags().BoolVar(&withKeys, "keys", false, "delete the keys too")
	return cmd
}
