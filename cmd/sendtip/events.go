package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/event"
)

// brokers are the given ones, or the embedded one of this folder's platform.
func (f *flags) brokers() []string {
	if b := os.Getenv("SENDTIP_KAFKA_BROKERS"); b != "" {
		return strings.Split(b, ",")
	}
	return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Kafka()))}
}

// tool is Kafka as the operator reaches it.
func (f *flags) tool() (event.Broker, error) {
	set, err := f.keys()
	if err != nil {
		return event.Broker{}, err
	}
	return platform.Broker(f.environ(), f.brokers(), set, keys.Tool)
}

func eventsCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Manage topics, broker users and dead letters"}
	var replication int16
	apply := &cobra.Command{Use: "apply", Short: "Create the declared topics that are missing from the broker", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if replication < 1 {
				return errors.New("--replication must be 1 or more")
			}
			tool, err := f.tool()
			if err != nil {
				return err
			}
			made, err := platform.ApplyTopics(tool, replication)
			if err != nil {
				return err
			}
			c.Printf("%d topics created %s\n", len(made), strings.Join(made, " "))
			return nil
		}}
	apply.Flags().Int16Var(&replication, "replication", 1, "copies of each partition")
	users := &cobra.Command{Use: "users", Short: "Create each service's user at the broker, with its password and its permissions",
		Args: cobra.NoArgs,
		Long: "Makes the users of `sendtip keys init` at a broker with SASL SCRAM-SHA-512, with the passwords of the keys, and lets only its " +
			"owner\n" +
			"write a topic. It signs in with SENDTIP_KAFKA_ADMIN_USER and SENDTIP_KAFKA_ADMIN_PASSWORD. Run it again after new passwords.",
		RunE: func(c *cobra.Command, _ []string) error {
			set, err := f.keys()
			if err != nil {
				return err
			}
			superuser, err := platform.AdminBroker(f.environ(), f.brokers(), set)
			if err != nil {
				return err
			}
			return platform.ApplyAccess(c.Context(), superuser, set)
		}}
	cmd.AddCommand(apply, users, deadCommand(f))
	return cmd
}

func deadCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "dead", Short: "Messages that no consumer could process"}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List dead letters: where they came from and why, without their content", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				tool, err := f.tool()
				if err != nil {
					return err
				}
				letters, err := platform.DeadLetters(c.Context(), tool)
				if err != nil {
					return err
				}
				for _, l := range letters {
					c.Printf("%s  %s  %s  %s  %s\n", l.Name(), l.At.UTC().Format("2006-01-02T15:04:05Z"), printable(l.Topic), printable(l.Consumer),
						printable(l.Reason))
				}
				c.Printf("%d dead letters\n", len(letters))
				return nil
			}},
		&cobra.Command{Use: "replay partition/offset…",
			Short: "Send dead letters to their topics again; consumers that have already applied them drop them", Args: cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				tool, err := f.tool()
				if err != nil {
					return err
				}
				n, err := platform.ReplayDead(c.Context(), tool, args)
				if err != nil {
					return fmt.Errorf("after %d replayed: %w", n, err)
				}
				c.Printf("%d replayed\n", n)
				return nil
			}})
	return cmd
}

// printable is a text of somebody else's without what moves a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
