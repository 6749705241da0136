package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

// inspection is the output of "mullion inspect --json".
type inspection struct {
	Reference string            `json:"reference"`
	Digest    string            `json:"digest"`
	MediaType string            `json:"mediaType"`
	Platform  string            `json:"platform"`
	Created   string            `json:"created,omitempty"`
	Config    any               `json:"config"`
	Labels    map[string]string `json:"-"`
	Env       []string          `json:"env"`

	OSVersion   *winVersion      `json:"osVersion,omitempty"` // from the hives
	Environment []variable       `json:"environment"`         // of a process in a container
	Warnings    []string         `json:"warnings"`
	Layers      []inspectedLayer `json:"layers"`
}

type inspectedLayer struct {
	Digest    string   `json:"digest"`
	DiffID    string   `json:"diffID"`
	MediaType string   `json:"mediaType"`
	URLs      []string `json:"urls,omitempty"`
	Stored    int64    `json:"storedSize"`
	Plain     int64    `json:"size"`
	Content   int64    `json:"contentSize"`
	Files     int64    `json:"files"`
	Dirs      int64    `json:"directories"`
	Whiteouts int64    `json:"whiteouts"`
	Links     int64    `json:"hardLinks"`
	Hives     []string `json:"hives"`
}

func newInspectCommand(c *console) *cobra.Command {
	var flags imageFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Print the platform, configuration and layers of an image",
		Long: `Print the platform and configuration of an image, the Windows build and the
environment from its registry hives, and one row per layer: digest, diff ID,
sizes in bytes, and the number of files, directories, whiteouts, hard links and
hives. A warning is printed if the configuration names a different build than
the hives. All layers are read to the end, which verifies them.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer img.Close()
			in, err := inspectImage(cmd.Context(), img)
			if err != nil {
				return imageHint(err)
			}
			c.stopProgress()
			if c.json {
				return c.printJSON(in)
			}
			return in.print(c, img)
		},
	}
	flags.add(cmd)
	return cmd
}

func inspectImage(ctx context.Context, img *image.Image) (*inspection, error) {
	config := img.Config()
	in := &inspection{
		Reference: img.Reference().String(), Digest: string(img.Digest()), MediaType: img.Descriptor().MediaType,
		Platform: img.Platform().String(), Config: config.Config, Env: config.Config.Env,
		Environment: []variable{}, Warnings: []string{}, Layers: []inspectedLayer{},
	}
	if config.Created != nil {
		in.Created = config.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	summaries, found, err := img.Survey(ctx)
	if err != nil {
		return nil, err
	}
	in.readRegistry(ctx, img, found)
	if err := found.Close(); err != nil {
		return nil, err
	}
	for n, l := range img.Layers() {
		s := summaries[n]
		row := inspectedLayer{
			Digest: string(l.Descriptor.Digest), DiffID: string(l.DiffID), MediaType: l.Descriptor.MediaType, URLs: l.Descriptor.URLs,
			Stored: s.Stored, Plain: s.Plain, Content: s.Content, Files: s.Files, Dirs: s.Dirs, Whiteouts: s.Whiteouts, Links: s.Links,
			Hives: append([]string{}, s.Hives...),
		}
		in.Layers = append(in.Layers, row)
	}
	return in, nil
}

// readRegistry adds the version and environment from the hives. Errors in hives become
// warnings, because the rest of the image can still be inspected.
func (in *inspection) readRegistry(ctx context.Context, img *image.Image, found *image.Hives) {
	warn := func(format string, a ...any) { in.Warnings = append(in.Warnings, fmt.Sprintf(format, a...)) }
	var harmless hiveWarnings
	found.Warn = harmless.add
	defer func() { in.Warnings = append(in.Warnings, harmless.lines()...) }()
	v, err := found.OSVersion(ctx)
	switch claim := img.Platform().OSVersion; {
	case errors.Is(err, hives.ErrNoBase):
	case err != nil:
		warn("%v", err)
	default:
		in.OSVersion = describeVersion(v)
		if claim != "" && claim != in.OSVersion.Version {
			warn("the configuration claims Windows %s, the hives have %s", claim, in.OSVersion.Version)
		}
	}
	env, err := found.Environment(ctx, img.Config())
	if err != nil {
		warn("%v", err)
		return
	}
	in.Environment = variables(env)
}

// print prints the inspection as text.
func (in *inspection) print(c *console, img *image.Image) error {
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, visible(value))
		}
	}
	config := img.Config().Config
	row("Reference", in.Reference)
	row("Digest", in.Digest)
	row("Platform", in.Platform)
	row("Created", in.Created)
	row("User", config.User)
	row("Directory", config.WorkingDir)
	row("Entrypoint", strings.Join(config.Entrypoint, " "))
	row("Command", strings.Join(config.Cmd, " "))
	if in.OSVersion != nil {
		row("Windows", in.OSVersion.String())
	}
	for _, e := range in.Environment {
		row("Environment", e.Name+"="+e.Value)
	}
	for _, s := range in.Warnings {
		row("Warning", s)
	}
	fmt.Fprintf(w, "\nLAYER\tDIGEST\tDIFF ID\tSTORED\tSIZE\tFILES\tDIRS\tWHITEOUTS\tLINKS\tHIVES\n")
	for i, l := range in.Layers {
		fmt.Fprintf(w, "%d\t%.19s\t%.19s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", i, l.Digest, l.DiffID, l.Stored, l.Plain,
			l.Files, l.Dirs, l.Whiteouts, l.Links, len(l.Hives))
	}
	return w.Flush()
}
