package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seeother/seeother"
)

func newStage() *cobra.Command {
	client := &adminClient{}
	verb := &cobra.Command{
		Use:   "stage",
		Short: "See and change how far each policy is rolled out",
		Long: `See and change the stages of a running gateway: off, report (nothing changes,
each would-be change is logged), canary N% (for so many of the clients), enforce.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	client.addFlags(verb)
	verb.AddCommand(newStageList(client), newStageSet(client))
	return verb
}

// stageList is what the admin API answers.
type stageList struct {
	Stages []policyStage `json:"stages"`
}

type policyStage struct {
	Name  string         `json:"name"`
	Stage seeother.Stage `json:"stage"`
}

func (l stageList) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, l)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range l.Stages {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", s.Name, s.Stage) // Flush tells
	}
	return table.Flush()
}

func newStageList(client *adminClient) *cobra.Command {
	var asJSON bool
	verb := &cobra.Command{
		Use:   "list",
		Short: "List the stage of every policy",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all stageList
			if err := client.call(cmd.Context(), http.MethodGet, "/api/v1/stages", nil, &all); err != nil {
				return err
			}
			return all.print(cmd.OutOrStdout(), asJSON)
		},
	}
	verb.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return verb
}

func newStageSet(client *adminClient) *cobra.Command {
	var asJSON bool
	verb := &cobra.Command{
		Use:   "set POLICY STAGE",
		Short: "Change the stage of one policy",
		Long: `Change the stage of one policy, by the name that "seeother stage list" shows. A
named route has a stage of its own: changing the default does not change it. A
stage rises only when the smoke requests of the configuration pass; what failed
is said, and the stage stays as it is. The gateway remembers the stage over a
restart, until the configuration asks for another.`,
		Example: `  seeother stage set see-other "canary 10%"
  seeother stage set "once payments" enforce`,
		Args: exactly(2, "a POLICY and a STAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := seeother.ParseStage(args[1]); err != nil {
				return &usageError{err, "write a canary as \"canary 10%\", in quotes"}
			}
			var all stageList
			change := map[string]string{"name": args[0], "stage": args[1]}
			if err := client.call(cmd.Context(), http.MethodPost, "/api/v1/stages", change, &all); err != nil {
				if h, ok := errors.AsType[*hinted](err); ok {
					return h
				}
				return &hinted{err, `"seeother stage list" shows the policies and where they are; the gateway's log says more`}
			}
			return all.print(cmd.OutOrStdout(), asJSON)
		},
	}
	verb.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return verb
}
