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
	cmd.AddCommand(createAdminCommand(f), resetTotpCommand(f))
	return cmd
}

func createAdminCommand(f *flags) *cobra.Command {
	var in user.Admin
	var breakGlass bool
	var reason string
	cmd := &cobra.Command{Use: "create", Short: "Create one of the first two admins; asks for the PIN, or reads it from standard input",
		Long: "Create one of the first two admins, so that one can propose and the other approve whoever comes next.\n" +
			"Where two exist, only --break-glass makes another one; it is audited and raises an alarm.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if breakGlass != (reason != "") {
				return errors.New("--break-glass and --reason go together: say why the two admins could not do it")
			}
			in.BreakGlass = reason
			var err error
			if in.Pin, err = readPIN(c); err != nil {
				return err
			}
			cfg, err := f.userConfig()
			if err != nil {
				return err
			}
			id, err := user.CreateAdmin(c.Context(), cfg, in)
			if err != nil {
				return err
			}
			c.Printf("admin %s created; sign in with POST /v1/sessions and device_id %s, then set up the authenticator with POST /v1/me/totp\n",
				id, in.Device)
			return nil
		}}
	cmd.Flags().StringVar(&in.Phone, "phone", "", "E.164 number, for example "+safaricom.MobilePrefix+"12345678")
	cmd.Flags().StringVar(&in.Device, "device", uuid.NewString(), "id of the device that the admin will sign in from")
	cmd.Flags().BoolVar(&breakGlass, "break-glass", false, "make one although there are two")
	cmd.Flags().StringVar(&reason, "reason", "", "why the glass is broken")
	mustRequire(cmd, "phone")
	return cmd
}

func resetTotpCommand(f *flags) *cobra.Command {
	var phone, reason string
	cmd := &cobra.Command{Use: "reset-totp", Short: "Void a lost authenticator where no two admins are left to do it (break glass)",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.userConfig()
			if err != nil {
				return err
			}
			id, err := user.ResetTotp(c.Context(), cfg, phone, reason)
			if err != nil {
				return err
			}
			c.Printf("the authenticator of %s is void and all sessions have ended; the next sign-in sets up a new one\n", id)
			return nil
		}}
	cmd.Flags().StringVar(&phone, "phone", "", "E.164 number of the member of staff")
	cmd.Flags().StringVar(&reason, "reason", "", "why two admins could not do it")
	mustRequire(cmd, "phone", "reason")
	return cmd
}

// mustRequire marks flags that the command declares itself.
func mustRequire(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

// userConfig is what commands need to work on user's rows: the database and the keys, and no provider.
func (f *flags) userConfig() (user.Config, error) {
	set, err := f.keys()
	if err != nil {
		return user.Config{}, err
	}
	admin, err := f.adminURL()
	if err != nil {
		return user.Config{}, err
	}
	environ, err := platform.ServiceEnviron(f.ports(), set, admin, f.brokers(), f.environ(), "user")
	if err != nil {
		return user.Config{}, err
	}
	common, err := config.Load[config.Common](environ)
	return user.Config{Common: common}, err
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
