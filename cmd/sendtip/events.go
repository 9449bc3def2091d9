package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// brokers are the given ones, or the embedded one of this folder's platform.
func (f *flags) brokers() []string {
	if b := os.Getenv("SENDTIP_KAFKA_BROKERS"); b != "" {
		return strings.Split(b, ",")
	}
	return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(f.ports().Kafka()))}
}

func eventsCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Topics and dead letters"}
	var replication int16
	apply := &cobra.Command{Use: "apply", Short: "Create the declared topics that the broker lacks", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			made, err := platform.ApplyTopics(f.brokers(), replication)
			if err != nil {
				return err
			}
			c.Printf("%d topics created %s\n", len(made), strings.Join(made, " "))
			return nil
		}}
	apply.Flags().Int16Var(&replication, "replication", 1, "copies of each partition")
	dead := &cobra.Command{Use: "dead", Short: "Messages that no consumer could take"}
	dead.AddCommand(
		&cobra.Command{Use: "list", Short: "List dead letters: where they came from and why, without their content", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				letters, err := platform.DeadLetters(c.Context(), f.brokers())
				if err != nil {
					return err
				}
				for _, l := range letters {
					c.Printf("%d/%d  %s  %s  %s  %s\n", l.Partition, l.Offset, l.At.UTC().Format("2006-01-02T15:04:05Z"), l.Topic, l.Consumer, l.Reason)
				}
				c.Printf("%d dead letters\n", len(letters))
				return nil
			}},
		&cobra.Command{Use: "replay partition/offset…", Short: "Send dead letters to their topic again; consumers that have their effect drop them", Args: cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				n, err := platform.ReplayDead(c.Context(), f.brokers(), args)
				if err != nil {
					return fmt.Errorf("after %d replayed: %w", n, err)
				}
				c.Printf("%d replayed\n", n)
				return nil
			}})
	cmd.AddCommand(apply, dead)
	return cmd
}
