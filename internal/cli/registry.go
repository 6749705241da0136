package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/spf13/cobra"
)

// imageRegistry is what a command reads from the hives of an image or a layer.
type imageRegistry interface {
	// Open gives a hive with all deltas merged, hives.ErrNoBase if there is no base.
	Open(ctx context.Context, n hives.Name) (*regf.Hive, error)
	// OpenHive gives what the topmost layer itself has.
	hives.Layer
	Close() error
}

// openRegistry takes the named hives out of an image, or out of a layer with those
// that --parent names below it.
func (f *contentFlags) openRegistry(ctx context.Context, c *console, text string, names ...hives.Name) (imageRegistry, error) {
	if ref, ok := parseLayerRef(text); ok && ref.format == cimFormat {
		return openCIMRegistry(ctx, c, ref.text)
	}
	source, done, err := f.openLayer(ctx, c, text)
	if err != nil {
		return nil, err
	}
	var sources []layer.Source // base first
	if source == nil {
		img, err := f.image.open(ctx, c, text, c.layerProgress())
		if err != nil {
			return nil, err
		}
		done = img.Close
		sources = img.Sources(ctx)
	} else {
		sources = []layer.Source{source}
		if ref, ok := parseLayerRef(text); ok {
			if sources, err = ref.chain(ctx, c, &f.options); err != nil {
				return nil, errors.Join(err, done())
			}
		}
	}
	h, err := image.FindHives(ctx, sources, names...)
	if err = errors.Join(err, done()); err != nil {
		if h != nil {
			h.Close()
		}
		return nil, imageHint(err)
	}
	c.stopProgress()
	r := &layersRegistry{Hives: h, c: c}
	h.Warn = r.warnings.add
	return r, nil
}

// layersRegistry is the registry of layers. What harmless faults were met is said when
// it is closed.
type layersRegistry struct {
	*image.Hives
	c        *console
	warnings hiveWarnings
}

func (r *layersRegistry) Close() error {
	r.warnings.print(r.c)
	return r.Hives.Close()
}

// cimRegistry is the registry of a CimFS image, which holds its hives merged.
type cimRegistry struct {
	cimlayer.ImageHives
	c        *console
	warnings *hiveWarnings
}

func openCIMRegistry(ctx context.Context, c *console, name string) (imageRegistry, error) {
	im, err := openCIM(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	w := &hiveWarnings{}
	return cimRegistry{cimlayer.ImageHives{Image: im, Warn: w.add}, c, w}, nil
}

func (r cimRegistry) Open(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	return hives.Chain(ctx, []hives.Layer{r.ImageHives}, n)
}

func (r cimRegistry) Close() error {
	r.warnings.print(r.c)
	return r.Image.Close()
}

// registryHint adds advice to errors about the hives of layers.
func registryHint(err error) error {
	switch {
	case errors.Is(err, hives.ErrNoBase):
		return hintf(err, "give the image, or the layers below with --parent")
	case errors.Is(err, regf.ErrDirty):
		return hintf(err, "the hive was not closed: take it out with mullion cat, replay its logs with mullion hive recover")
	}
	return damagedHint(err)
}

// winVersion is what osversion and inspect say of the Windows in an image.
type winVersion struct {
	Version          string  `json:"version"`
	Major            uint32  `json:"major"`
	Minor            uint32  `json:"minor"`
	Build            uint32  `json:"build"`
	UBR              *uint32 `json:"ubr,omitempty"`
	ProductName      string  `json:"productName,omitempty"`
	Edition          string  `json:"edition,omitempty"`
	InstallationType string  `json:"installationType,omitempty"`
	DisplayVersion   string  `json:"displayVersion,omitempty"`
}

func describeVersion(v hives.OSVersion) *winVersion {
	d := &winVersion{v.String(), v.Major, v.Minor, v.Build, nil, v.ProductName, v.Edition, v.InstallationType, v.DisplayVersion}
	if v.HasUBR {
		d.UBR = &v.UBR
	}
	return d
}

// String is for people: "10.0.20348.2700 (Windows Server 2022 Datacenter, 21H2)".
func (v *winVersion) String() string {
	var about []string
	for _, s := range []string{v.ProductName, v.DisplayVersion, v.InstallationType} {
		if s != "" {
			about = append(about, s)
		}
	}
	if about == nil {
		return v.Version
	}
	return fmt.Sprintf("%s (%s)", v.Version, strings.Join(about, ", "))
}

// versionOf reads the version from a SOFTWARE hive and closes it.
func versionOf(h *regf.Hive) (*winVersion, error) {
	v, err := hives.OSVersionOf(h)
	if err = errors.Join(err, h.Close()); err != nil {
		return nil, err
	}
	return describeVersion(v), nil
}

func newOSVersionCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	cmd := &cobra.Command{
		Use:   "osversion IMAGE|LAYER",
		Short: "Print the Windows build that an image contains",
		Long: `Print the version from the SOFTWARE hive, with the delta hives of all layers merged:
what is in the image, whatever its configuration claims. A base layer is read up to
the hive and no further; -v says how many bytes that were. --json adds product,
edition and kind of installation.

A layer that is not a base has only changes; --parent names the layers below it.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			r, err := flags.openRegistry(cmd.Context(), c, args[0], hives.Software)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			h, err := r.Open(cmd.Context(), hives.Software)
			if _, isLayer := parseLayerRef(args[0]); errors.Is(err, hives.ErrNoBase) && !isLayer {
				return hintf(err, "mullion inspect shows the build that the configuration claims")
			}
			if err != nil {
				return registryHint(err)
			}
			v, err := versionOf(h)
			if err != nil {
				return err
			}
			if n := c.bytesRead.Load(); n > 0 {
				c.notef("%d bytes read", n)
			}
			if c.json {
				return c.printJSON(v)
			}
			return c.printf("%s\n", v.Version)
		},
	}
	flags.image.add(cmd)
	flags.options.addParents(cmd)
	return cmd
}

func newHiveOSVersionCommand(c *console, f *hiveFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "os-version HIVE",
		Short: "Print the Windows build that a SOFTWARE hive names",
		Long: `Print the version that a SOFTWARE hive names, as image configurations write it:
10.0.20348.2700. --json adds product, edition and kind of installation.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := f.open(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			v, err := versionOf(h)
			if errors.Is(err, hives.ErrNoVersion) {
				err = hintf(err, "the version is in the hive SOFTWARE, in Windows\\System32\\config")
			}
			if err != nil {
				return about(args[0], err)
			}
			if c.json {
				return c.printJSON(v)
			}
			return c.printf("%s\n", v.Version)
		},
	}
}

func newHiveEnableCimBootCommand(c *console, f *hiveFlags) *cobra.Command {
	var out outputFlags
	var text strings.Builder
	for _, s := range hives.CimBootSettings() {
		fmt.Fprintf(&text, "\n  %s  %s = %s", s.Key, s.Value, valueText(s.Type, s.Data))
	}
	cmd := &cobra.Command{
		Use:   "enable-cim-boot HIVE",
		Short: "Make a utility VM's SYSTEM hive boot from CimFS",
		Long: `Set in a SYSTEM hive what a utility VM needs to boot from a CimFS image. Keys that are
missing are made. The hive is changed in place, atomically; -o writes the result
elsewhere. It sets
` + text.String(),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.edit(cmd.Context(), c, args[0], &out, hives.EnableCimBoot)
		},
	}
	out.addInPlace(cmd, "the changed hive")
	return cmd
}
