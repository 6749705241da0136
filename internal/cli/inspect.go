package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/mullion/mullion/image"
	"github.com/spf13/cobra"
)

// inspection is what `mullion inspect` says of an image.
type inspection struct {
	Reference string            `json:"reference"`
	Digest    string            `json:"digest"`
	MediaType string            `json:"mediaType"`
	Platform  string            `json:"platform"`
	Created   string            `json:"created,omitempty"`
	Config    any               `json:"config"`
	Labels    map[string]string `json:"-"`
	Env       []string          `json:"env"`
	Layers    []inspectedLayer  `json:"layers"`
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
		Short: "Print platform, configuration and layers of an image",
		Long: `Print platform, configuration and one row a layer: digest, diff ID, sizes, files,
directories, whiteouts, hard links and hives. All layers are read to their end, which
verifies them.

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
		Platform: img.Platform().String(), Config: config.Config, Env: config.Config.Env, Layers: []inspectedLayer{},
	}
	if config.Created != nil {
		in.Created = config.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	for _, l := range img.Layers() {
		s, err := l.Summarize(ctx)
		if err != nil {
			return nil, err
		}
		row := inspectedLayer{
			Digest: string(l.Descriptor.Digest), DiffID: string(l.DiffID), MediaType: l.Descriptor.MediaType, URLs: l.Descriptor.URLs,
			Stored: s.Stored, Plain: s.Plain, Content: s.Content, Files: s.Files, Dirs: s.Dirs, Whiteouts: s.Whiteouts, Links: s.Links,
			Hives: []string{},
		}
		for _, h := range s.Hives {
			row.Hives = append(row.Hives, h)
		}
		in.Layers = append(in.Layers, row)
	}
	return in, nil
}

// print prints the inspection for people.
func (in *inspection) print(c *console, img *image.Image) error {
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
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
	for _, e := range in.Env {
		row("Environment", e)
	}
	fmt.Fprintf(w, "\nLAYER\tDIGEST\tDIFF ID\tSTORED\tSIZE\tFILES\tDIRS\tWHITEOUTS\tLINKS\tHIVES\n")
	for i, l := range in.Layers {
		fmt.Fprintf(w, "%d\t%.19s\t%.19s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", i, l.Digest, l.DiffID, l.Stored, l.Plain,
			l.Files, l.Dirs, l.Whiteouts, l.Links, len(l.Hives))
	}
	return w.Flush()
}
