package cli

import (
	"encoding/json"
	"strings"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

func newConfigCommand(c *console) *cobra.Command {
	var flags assembleFlags
	var e configEdit
	cmd := &cobra.Command{
		Use:   "config IMAGE [-o IMAGE]",
		Short: "Print or change the configuration of an image",
		Long: `Print the configuration of an image byte for byte as it is stored. From an
index, the Windows image or the one for --platform is chosen.

With -o, write an image with the same layers and a changed configuration. Names
of variables are found without regard to case, as in Windows. --entrypoint and
--cmd take a JSON list of words, or one word; an empty text removes the member,
and so it does for --user, --workdir, --author and --os-version.

` + assembleHelp + "\n\n" + imageHelp,
		Example: `  mullion config docker://registry/app:1 | jq '."os.version"'
  mullion config oci:layout:v1 | jq .history
  mullion config oci:app:v1 --env 'A=C:\a' --cmd '["a.exe","x"]' -o oci:app:v2
  mullion config oci:app:v1 --label team=web --expose 8080 -o oci:app:v2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			changed := e.given(cmd)
			switch {
			case flags.out == "" && changed != "":
				return usagef("--%s changes the configuration: -o IMAGE says where the new image is written", changed)
			case flags.out == "" && flags.force:
				return usagef("--force belongs to -o")
			case flags.out == "":
				return flags.printStored(cmd, c, args[0], (*image.Image).RawConfig)
			case changed == "":
				return usagef("-o writes a changed image; mullion copy writes one as it is")
			}
			changes, err := e.changes(cmd)
			if err != nil {
				return err
			}
			return flags.make(cmd.Context(), c, args[0], func(a *image.Assembly) error { return build.Configure(a, changes) })
		},
	}
	flags.add(cmd, false)
	e.add(cmd)
	return cmd
}

// configEdit are the flags that change a configuration.
type configEdit struct {
	env, unsetEnv, labels, unsetLabels, expose, conceal []string

	entrypoint, cmd, user, workdir, author, version string
}

// editFlags are the names of the flags of configEdit.
var editFlags = []string{"env", "unset-env", "entrypoint", "cmd", "user", "workdir", "label", "unset-label", "expose", "unset-expose", "os-version", "author"}

func (e *configEdit) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&e.env, "env", nil, "set a variable, `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&e.unsetEnv, "unset-env", nil, "remove the variable `NAME`; may be repeated")
	f.StringVar(&e.entrypoint, "entrypoint", "", "set the entry point to `WORDS`, a JSON list or one word")
	f.StringVar(&e.cmd, "cmd", "", "set the default command to `WORDS`, a JSON list or one word")
	f.StringVar(&e.user, "user", "", "set the `ACCOUNT` that processes run as")
	f.StringVar(&e.workdir, "workdir", "", "set the working directory to `PATH`")
	f.StringArrayVar(&e.labels, "label", nil, "set a label, `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&e.unsetLabels, "unset-label", nil, "remove the label `KEY`; may be repeated")
	f.StringArrayVar(&e.expose, "expose", nil, "add `PORT`, such as 80 or 53/udp, to the exposed ones; may be repeated")
	f.StringArrayVar(&e.conceal, "unset-expose", nil, "remove `PORT` from the exposed ones; may be repeated")
	f.StringVar(&e.version, "os-version", "", "set os.version to `VERSION`, such as 10.0.20348.2700")
	f.StringVar(&e.author, "author", "", "set the author to `TEXT`")
}

// given returns the name of a flag that changes something, "" if there is none.
func (e *configEdit) given(cmd *cobra.Command) string {
	for _, name := range editFlags {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func (e *configEdit) changes(cmd *cobra.Command) (build.Changes, error) {
	when, err := epoch()
	if err != nil {
		return build.Changes{}, err
	}
	c := build.Changes{SetEnv: e.env, UnsetEnv: e.unsetEnv, RemoveLabels: e.unsetLabels, ExposePorts: e.expose, ConcealPorts: e.conceal,
		Created: when, CreatedBy: "mullion config"}
	text := func(name string, v *string) *string {
		if cmd.Flags().Changed(name) {
			return v
		}
		return nil
	}
	c.User, c.WorkingDir, c.OSVersion, c.Author = text("user", &e.user), text("workdir", &e.workdir), text("os-version", &e.version), text("author", &e.author)
	if c.Entrypoint, err = commandWords("entrypoint", text("entrypoint", &e.entrypoint)); err != nil {
		return c, err
	}
	if c.Cmd, err = commandWords("cmd", text("cmd", &e.cmd)); err != nil {
		return c, err
	}
	for _, l := range e.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return c, usagef("--label %.100q: want KEY=VALUE", l)
		}
		if c.SetLabels == nil {
			c.SetLabels = map[string]string{}
		}
		c.SetLabels[key] = value
	}
	return c, nil
}

// commandWords returns the words of a command: a JSON list, or one word.
func commandWords(flag string, text *string) (*[]string, error) {
	switch {
	case text == nil:
		return nil, nil
	case *text == "":
		return &[]string{}, nil
	case !strings.HasPrefix(*text, "["):
		return &[]string{*text}, nil
	}
	var list []string
	if err := json.Unmarshal([]byte(*text), &list); err != nil {
		return nil, usagef("--%s %.100q: not a JSON list of words: %v", flag, *text, err)
	}
	return &list, nil
}
