package cli

import (
	"errors"

	"github.com/mullion/mullion/hives"
	"github.com/spf13/cobra"
)

// variable is one variable of the environment, as printed by --json.
type variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// variables lists an environment, sorted by name.
func variables(env *hives.Env) []variable {
	list := []variable{}
	for _, v := range env.All() {
		list = append(list, variable{v.Name, v.Value, string(v.Source)})
	}
	return list
}

func newEnvCommand(c *console) *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "env IMAGE",
		Short: "Print the environment of a process in a container",
		Long: `Print the environment of a process in a container of the image, one NAME=value
per line, sorted by name. It combines the variables that Windows sets itself,
those of the machine from the SYSTEM hive with %NAME% expanded, those of the
default user and, overriding all others, those of the image configuration.
--json adds the source of each value: system, machine, user or config.

COMPUTERNAME is missing because only a running container has one.

` + imageHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, img.Close()) }()
			var warnings hiveWarnings
			env, err := img.Environment(cmd.Context(), warnings.add)
			if err != nil {
				return imageHint(registryHint(err))
			}
			c.stopProgress()
			warnings.print(c)
			list := variables(env)
			if c.json {
				return c.printJSON(list)
			}
			for _, v := range list {
				if err := c.printf("%s=%s\n", v.Name, v.Value); err != nil {
					return err
				}
			}
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}
