package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

func webhooksCommand(f *flags) *cobra.Command {
	return &cobra.Command{Use: "webhooks", Short: "Print the addresses to enter in providers' dashboards", Args: cobra.NoArgs,
		Long: "Daraja and Smile ID get their addresses with each request; Africa's Talking needs the address for delivery reports in its\n" +
			"dashboard. The path contains a secret: anyone who knows it can report messages as delivered. Set SENDTIP_PUBLIC_URL to the\n" +
			"gateway's public address.",
		RunE: func(c *cobra.Command, _ []string) error {
			set, err := f.keys()
			if err != nil {
				return err
			}
			address, err := platform.ReportURL(strings.TrimRight(env("SENDTIP_PUBLIC_URL", f.world().Gateway), "/"), set)
			if err != nil {
				return err
			}
			c.Println("Africa's Talking, delivery reports:", address)
			return nil
		}}
}
