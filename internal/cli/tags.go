package cli

import (
	"slices"
	"strings"

	"github.com/mullion/mullion/image/registry"
	"github.com/spf13/cobra"
)

// remoteFlags are the flags of commands that only ask registries.
type remoteFlags struct {
	plainHTTP bool
	private   bool
}

func (f *remoteFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.plainHTTP, "plain-http", false, "use HTTP instead of HTTPS")
	cmd.Flags().BoolVar(&f.private, "private-network", false, "allow redirects and token services at private addresses")
}

func (f *remoteFlags) options() []registry.Option {
	var opts []registry.Option
	if f.plainHTTP {
		opts = append(opts, registry.WithPlainHTTP())
	}
	if f.private {
		opts = append(opts, registry.WithPrivateNetwork())
	}
	return opts
}

// tagLine is a line of "mullion tags --json".
type tagLine struct {
	Tag string `json:"tag"`
}

// repositoryHint adds advice if the name of a repository has no registry, and the file or
// directory of that name, if there is one.
func repositoryHint(repo string, err error) error {
	if f, ok := sniff(repo); ok {
		return hintf(err, "%s is %s here, and tags asks registries only", repo, f.what)
	}
	if first, _, path := strings.Cut(repo, "/"); path && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		return err
	}
	return hintf(err, "%s names no registry, so it is a repository on Docker Hub; that of another registry is registry/name", repo)
}

func newTagsCommand(c *console) *cobra.Command {
	var remote remoteFlags
	cmd := &cobra.Command{
		Use:   "tags REPOSITORY",
		Short: "List the tags of a repository in a registry",
		Long: `List the tags of a repository in a registry, one per line, in the order of the
registry. REPOSITORY is a name without tag and digest: registry/name.`,
		Example: `  mullion tags mcr.microsoft.com/windows/nanoserver
  mullion tags --json registry.example.com/app | jq -r .tag`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			repo := strings.TrimPrefix(args[0], "docker://")
			if scheme, _, ok := strings.Cut(repo, ":"); ok && slices.Contains(imageSchemes, scheme) {
				return usagef("%s is no repository in a registry, which is registry/name", args[0])
			}
			for tag, err := range registry.Tags(cmd.Context(), repo, remote.options()...) {
				if err == nil && c.json {
					err = c.printJSONLine(tagLine{tag})
				} else if err == nil {
					err = c.printf("%s\n", tag)
				}
				if err != nil {
					return imageHint(repositoryHint(repo, err))
				}
			}
			return nil
		},
	}
	remote.add(cmd)
	return cmd
}
