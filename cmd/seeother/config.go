package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
)

func newConfig() *cobra.Command {
	verb := &cobra.Command{
		Use:   "config",
		Short: "Look at configuration files",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	verb.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a configuration file",
		Long: `Say everything that is wrong with a configuration file: each mistake with its
file, line and column, the line itself, and what to write instead.

Exit codes: 0 the file is good, 1 it cannot be read, 2 something is wrong with it.`,
		Args: exactly(1, "one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := configfile.Load(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: good (routes: %d, smoke requests: %d)\n", args[0], len(file.Routes), len(file.Smoke))
			return err
		},
	})
	return verb
}
