package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCommand returns the command that writes the man pages. It is for packagers and
// hidden in the help.
func newManCommand(*console) *cobra.Command {
	return &cobra.Command{
		Use:         "man DIR",
		Short:       "Write a man page for every command into DIR",
		Hidden:      true,
		Annotations: map[string]string{noJSON: "man writes pages"},
		Args:        cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			// A fixed date: the pages of one version are the same bytes everywhere.
			date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Date: &date, Source: "mullion", Manual: "mullion"}, args[0])
		},
	}
}
