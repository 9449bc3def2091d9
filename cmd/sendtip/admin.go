package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/providers/safaricom"
	"github.com/sendtip/sendtip/services/user"
)

func adminCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "People who run the platform"}
	var phone, device string
	create := &cobra.Command{Use: "create", Short: "Create an administrator; asks for the PIN, or reads it from standard input",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			pin, err := readPIN(c)
			if err != nil {
				return err
			}
			set, err := f.keys()
			if err != nil {
				return err
			}
			admin, err := f.adminURL()
			if err != nil {
				return err
			}
			environ, err := platform.ServiceEnviron(f.ports(), set, admin, f.brokers(), f.environ(), "user")
			if err != nil {
				return err
			}
			common, err := config.Load[config.Common](environ) // the database and the keys: no provider is needed
			if err != nil {
				return err
			}
			id, err := user.CreateAdmin(c.Context(), user.Config{Common: common}, phone, pin, device)
			if err != nil {
				return err
			}
			c.Printf("administrator %s created; sign in with POST /v1/sessions and device_id %s\n", id, device)
			return nil
		}}
	create.Flags().StringVar(&phone, "phone", "", "E.164 number, for example "+safaricom.MobilePrefix+"12345678")
	create.Flags().StringVar(&device, "device", uuid.NewString(), "id of the device that the administrator will sign in from")
	if err := create.MarkFlagRequired("phone"); err != nil {
		panic(err) // the flag is declared two lines above
	}
	cmd.AddCommand(create)
	return cmd
}

// readPIN never takes the PIN from the command line: other users of the machine could see it there.
func readPIN(c *cobra.Command) (string, error) {
	const stdin = 0
	if term.IsTerminal(stdin) {
		c.Print("PIN (4 to 6 digits): ")
		b, err := term.ReadPassword(stdin)
		c.Println()
		return strings.TrimSpace(string(b)), err
	}
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", errors.Join(fmt.Errorf("there is no PIN on standard input"), err)
	}
	return line, nil
}
