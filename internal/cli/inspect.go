package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
)

// inspection is the output of "mullion inspect --json". What only the content of the
// layers can tell is there with --layers alone.
type inspection struct {
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Platform  string   `json:"platform"`
	Created   string   `json:"created,omitempty"`
	Author    string   `json:"author,omitempty"`
	Config    any      `json:"config"`
	Env       []string `json:"env"`

	OSVersion   *winVersion      `json:"osVersion,omitempty"`   // from the hives
	Environment []variable       `json:"environment,omitempty"` // of a process in a container
	Warnings    []string         `json:"warnings"`
	Layers      []inspectedLayer `json:"layers"`
}

// inspectedLayer is what the documents of the image say about a layer.
type inspectedLayer struct {
	Digest    string        `json:"digest"`
	DiffID    string        `json:"diffID"`
	MediaType string        `json:"mediaType"`
	URLs      []string      `json:"urls,omitempty"`
	Stored    int64         `json:"storedSize"`
	History   *layerHistory `json:"history,omitempty"`
	*layerContent
}

// layerHistory is the entry of the image's history that made a layer.
type layerHistory struct {
	Created   string `json:"created,omitempty"`
	CreatedBy string `json:"createdBy,omitempty"`
	Comment   string `json:"comment,omitempty"`
}

// layerContent is counted with --layers.
type layerContent struct {
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
	var layers, waste bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Print the platform, configuration and layers of an image",
		Long: `Print the platform and configuration of an image and, for each layer, digest,
diff ID, stored size and type, and the line of the history that made it. Only
the manifest and the configuration are read.

--layers also reads all layers to the end, which verifies them, and adds what
only they can tell: the Windows build and the environment from the registry
hives; the size of each layer and the number of its files, directories,
whiteouts, hard links and hives. A warning is printed if the configuration names
a different build than the hives.

` + wasteHelp + `

` + imageHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if layers && waste {
				return usagef("--layers and --waste exclude each other")
			}
			img, err := flags.open(cmd.Context(), c, args[0], c.layerProgress())
			if err != nil {
				return err
			}
			defer img.Close()
			if waste {
				return c.printWaste(cmd.Context(), img)
			}
			in := inspectDocuments(img)
			if layers {
				if err := in.readLayers(cmd.Context(), img); err != nil {
					return imageHint(err)
				}
			}
			c.stopProgress()
			if c.json {
				return c.printJSON(in)
			}
			return in.print(c, img)
		},
	}
	c.addBytes(cmd)
	flags.add(cmd)
	cmd.Flags().BoolVar(&waste, "waste", false, "read the layers: print what a container does not see of them")
	cmd.Flags().BoolVarP(&layers, "layers", "a", false, "read the layers: count their files, and read the hives")
	return cmd
}

// showCreated formats a time in the documents of an image.
func showCreated(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// inspectDocuments returns what the manifest and the configuration say.
func inspectDocuments(img *image.Image) *inspection {
	config := img.Config()
	in := &inspection{
		Reference: img.Reference().String(), Digest: string(img.Digest()), MediaType: img.Descriptor().MediaType,
		Platform: img.Platform().String(), Created: showCreated(config.Created), Author: config.Author,
		Config: config.Config, Env: config.Config.Env, Warnings: []string{}, Layers: []inspectedLayer{},
	}
	history := layersOf(config)
	for n, l := range img.Layers() {
		row := inspectedLayer{
			Digest: string(l.Descriptor.Digest), DiffID: string(l.DiffID), MediaType: l.Descriptor.MediaType,
			URLs: l.Descriptor.URLs, Stored: l.Descriptor.Size,
		}
		if len(history) == len(img.Layers()) {
			h := history[n]
			row.History = &layerHistory{showCreated(h.Created), h.CreatedBy, h.Comment}
		}
		in.Layers = append(in.Layers, row)
	}
	if n := len(history); n > 0 && n != len(in.Layers) {
		in.warn("the history has entries for %d layers, the image has %d", n, len(in.Layers))
	}
	return in
}

// layersOf returns the entries of the history that made a layer (OCI image specification,
// "history", empty_layer).
func layersOf(config *image.Config) []ocispec.History {
	var list []ocispec.History
	for _, h := range config.History {
		if !h.EmptyLayer {
			list = append(list, h)
		}
	}
	return list
}

func (in *inspection) warn(format string, a ...any) {
	in.Warnings = append(in.Warnings, fmt.Sprintf(format, a...))
}

// readLayers reads the layers and adds what they contain. Errors in hives become warnings,
// because the rest of the image can still be inspected.
func (in *inspection) readLayers(ctx context.Context, img *image.Image) error {
	var harmless hiveWarnings
	x, err := img.Examine(ctx, harmless.add)
	if err != nil {
		return err
	}
	for n, s := range x.Layers {
		in.Layers[n].layerContent = &layerContent{
			Plain: s.Plain, Content: s.Content, Files: s.Files, Dirs: s.Dirs, Whiteouts: s.Whiteouts, Links: s.Links,
			Hives: append([]string{}, s.Hives...),
		}
	}
	defer func() { in.Warnings = append(in.Warnings, harmless.lines()...) }()
	switch claim := img.Platform().OSVersion; {
	case errors.Is(x.OSVersionErr, hives.ErrNoBase):
	case x.OSVersionErr != nil:
		in.warn("%v", x.OSVersionErr)
	default:
		in.OSVersion = describeVersion(x.OSVersion)
		if claim != "" && claim != in.OSVersion.Version {
			in.warn("the configuration claims Windows %s, the hives have %s", claim, in.OSVersion.Version)
		}
	}
	if x.EnvironmentErr != nil {
		in.warn("%v", x.EnvironmentErr)
		return nil
	}
	in.Environment = variables(x.Environment)
	return nil
}

// print prints the inspection as text: the image, its configuration, the layers, and the
// environment, which can be long, last.
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
	row("Media type", in.MediaType)
	row("Platform", in.Platform)
	if in.OSVersion != nil {
		row("Windows", in.OSVersion.String())
	}
	row("Created", in.Created)
	row("Author", in.Author)
	row("User", config.User)
	row("Directory", config.WorkingDir)
	row("Entrypoint", commandLine(config.Entrypoint))
	row("Command", commandLine(config.Cmd))
	row("Stop signal", config.StopSignal)
	for _, port := range slices.Sorted(maps.Keys(config.ExposedPorts)) {
		row("Port", port)
	}
	for _, dir := range slices.Sorted(maps.Keys(config.Volumes)) {
		row("Volume", dir)
	}
	for _, name := range slices.Sorted(maps.Keys(config.Labels)) {
		row("Label", name+"="+config.Labels[name])
	}
	for _, s := range in.Warnings {
		row("Warning", s)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := in.printLayers(c); err != nil {
		return err
	}
	env := in.Env
	if in.Environment != nil {
		env = nil
		for _, e := range in.Environment {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	for n, v := range env {
		head := ""
		if n == 0 {
			head = "\n"
		}
		if err := c.printText(head + "Environment  " + visible(v) + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// commandLine joins the arguments of a command. Arguments with a space are quoted, so
// that their limits can be seen.
func commandLine(args []string) string {
	var words []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t") {
			a = `"` + a + `"`
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// printLayers prints a row per layer, below it the line of the history, and a table of
// the content if the layers were read.
func (in *inspection) printLayers(c *console) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nLAYER  %-19s  %-19s  %11s  TYPE\n", "DIGEST", "DIFF ID", "STORED")
	for i, l := range in.Layers {
		fmt.Fprintf(&b, "%-5d  %-19.19s  %-19.19s  %11s  %s\n", i, l.Digest, l.DiffID, c.size(l.Stored), visible(shortType(l.MediaType)))
		if l.History != nil {
			if line := cmp.Or(l.History.CreatedBy, l.History.Comment); line != "" {
				fmt.Fprintf(&b, "       %s\n", visible(line))
			}
		}
	}
	if len(in.Layers) > 0 && in.Layers[0].layerContent != nil {
		fmt.Fprintf(&b, "\nLAYER  %11s  %11s  %7s  %7s  %9s  %6s  HIVES\n", "SIZE", "CONTENT", "FILES", "DIRS", "WHITEOUTS", "LINKS")
		for i, l := range in.Layers {
			fmt.Fprintf(&b, "%-5d  %11s  %11s  %7d  %7d  %9d  %6d  %5d\n", i, c.size(l.Plain), c.size(l.Content), l.Files, l.Dirs, l.Whiteouts, l.Links, len(l.Hives))
		}
	}
	return c.printText(b.String())
}

// shortType returns the end of a layer's media type, which tells its compression:
// "tar+gzip".
func shortType(mediaType string) string {
	if i := strings.Index(mediaType, "tar"); i >= 0 {
		t := strings.Replace(mediaType[i:], "tar.gzip", "tar+gzip", 1)
		if strings.Contains(mediaType, "nondistributable") || strings.Contains(mediaType, "foreign") {
			t += ", foreign"
		}
		return t
	}
	return mediaType
}
