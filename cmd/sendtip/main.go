// Command sendtip runs the platform on one machine and is the operator's tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sendtip:", err)
		os.Exit(1) //nolint:gocritic // the process ends; the signal handler goes with it
	}
}

// errFailed ends the program with status 1 after a command has said all there is to say.
var errFailed = errors.New("see above")

type flags struct {
	dir  string
	base int
}

// flagError says what the value of a flag must be; the library quotes Go's parser.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	name := "--" + bad.GetFlag().Name
	switch kind := bad.GetFlag().Value.Type(); {
	case errors.Is(err, strconv.ErrRange):
		return errors.New(name + " must be a number that is not so large")
	case strings.HasPrefix(kind, "uint"):
		return errors.New(name + " must be a whole number, 0 or more")
	case strings.HasPrefix(kind, "int"):
		return errors.New(name + " must be a whole number")
	case kind == "bool":
		return errors.New(name + " must be true or false")
	}
	return err
}

func root() *cobra.Command {
	var f flags
	cmd := &cobra.Command{Use: "sendtip", Short: "The platform on one machine, and the operator's tool", SilenceUsage: true,
		SilenceErrors: true}
	cmd.SetOut(os.Stdout) // results, which cobra would print on standard error
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	cmd.PersistentFlags().StringVar(&f.dir, "dir", env("SENDTIP_DIR", ".sendtip"), "folder of keys, data and logs (SENDTIP_DIR)")
	base, err := strconv.Atoi(env("SENDTIP_PORT_BASE", strconv.Itoa(platform.DefaultPortBase)))
	cmd.PersistentFlags().IntVar(&f.base, "port-base", base, "base of all ports (SENDTIP_PORT_BASE)")
	cmd.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err != nil && !c.Flags().Changed("port-base") {
			return errors.New("SENDTIP_PORT_BASE must be a number")
		}
		if err := f.ports().Check(); err != nil {
			return err
		}
		if f.dir == "" {
			return errors.New("--dir must name a folder")
		}
		return platform.CheckSettings(f.environ())
	}
	cmd.AddCommand(upCommand(&f), demoCommand(&f), keysCommand(&f), migrateCommand(&f), adminCommand(&f), eventsCommand(&f), doctorCommand(&f),
		ledgerCommand(&f), benchCommand(&f), webhooksCommand(&f), resetCommand(&f), versionCommand())
	for _, group := range cmd.Commands() {
		if group.HasSubCommands() && !group.Runnable() { // cobra would show the help and end well
			group.RunE = func(c *cobra.Command, args []string) error {
				if len(args) > 0 {
					return fmt.Errorf("%s has no command %q; see %[1]s --help", c.CommandPath(), args[0])
				}
				return c.Help()
			}
		}
	}
	return cmd
}

func env(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func (f *flags) ports() platform.Ports { return platform.Ports{Base: f.base} }

func (f *flags) keys() (keys.Set, error) { return keys.Init(filepath.Join(f.dir, "keys")) }

// adminURL is the superuser's address: the given one, or that of the embedded cluster of this folder.
func (f *flags) adminURL() (string, error) {
	if u := os.Getenv("SENDTIP_POSTGRES_URL"); u != "" {
		return u, nil
	}
	set, err := f.keys()
	if err != nil {
		return "", err
	}
	pw, err := set.Read(keys.AdminPassword)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", pw, f.ports().Postgres()), nil
}

func keysCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Create the deployment's secrets"}
	cmd.AddCommand(&cobra.Command{Use: "services", Short: "Print the services that the secrets belong to, one per line", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { c.Println(strings.Join(keys.Services, "\n")) }})
	cmd.AddCommand(&cobra.Command{Use: "init", Short: "Create the missing secrets, and leave the others alone", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := f.keys(); err != nil {
				return err
			}
			c.Println("keys are in", filepath.Join(f.dir, "keys"),
				"(readable by this user only; back them up: sealed data cannot be read without them)")
			return nil
		}})
	return cmd
}

func migrateCommand(f *flags) *cobra.Command {
	return &cobra.Command{Use: "migrate", Short: "Create the services' databases and roles, and bring their tables up to date",
		Args: cobra.NoArgs,
		Long: "Requires the superuser's address in SENDTIP_POSTGRES_URL, or a running platform in this folder. It is safe to run it again.",
		RunE: func(c *cobra.Command, _ []string) error {
			set, err := f.keys()
			if err != nil {
				return err
			}
			u, err := f.adminURL()
			if err != nil {
				return err
			}
			if err := platform.Migrate(c.Context(), u, set); err != nil {
				return err
			}
			c.Println("the databases are up to date")
			return nil
		}}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(c *cobra.Command, _ []string) {
		version, revision := "development", "unknown revision"
		if info, ok := debug.ReadBuildInfo(); ok {
			if v := info.Main.Version; v != "" && v != "(devel)" {
				version = v
			}
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					revision = s.Value
				}
			}
			c.Printf("sendtip %s (%s, %s)\n", version, revision, info.GoVersion)
		}
	}}
}

// environ is the process environment with the brokers of this folder's platform filled in.
func (f *flags) environ() map[string]string { return config.Environ() }
