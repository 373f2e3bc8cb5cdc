package main

import (
	"github.com/spf13/cobra"

	"github.com/seeother/seeother/internal/configfile"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Write the JSON Schema of the configuration file",
		Long: `Write the JSON Schema (draft 2020-12) of the configuration file.

  seeother schema > seeother.schema.json

With this first line in the file, editors complete the keys and mark mistakes:

  # yaml-language-server: $schema=./seeother.schema.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(configfile.Schema())
			return err
		},
	}
}
