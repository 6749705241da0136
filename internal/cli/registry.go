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

// imageRegistry provides the hives of an image or a layer.
type imageRegistry interface {
	// Open returns a hive with all deltas merged, or hives.ErrNoBase if there is no base.
	Open(ctx context.Context, n hives.Name) (*regf.Hive, error)
	// OpenHive returns a hive of the topmost layer.
	hives.Layer
	Close() error
}

// openRegistry reads the named hives, or all, of an image, or of a layer and its parents
// named by --parent.
func (f *contentFlags) openRegistry(ctx context.Context, c *console, text string, names ...hives.Name) (imageRegistry, error) {
	if ref, ok := parseLayerRef(text); ok && ref.format == cimFormat {
		if (c.limits != layer.Limits{}) {
			return nil, usagef("--limit has no effect on %s, of which only the hives are read", text)
		}
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

// layersRegistry is the registry of a chain of layers. Close prints the harmless faults
// that were found.
type layersRegistry struct {
	*image.Hives
	c        *console
	warnings hiveWarnings
}

// Open returns a view: merging a large hive takes more time and memory than most questions.
func (r *layersRegistry) Open(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	return r.View(ctx, n)
}

func (r *layersRegistry) Close() error {
	r.warnings.print(r.c)
	return r.Hives.Close()
}

// cimRegistry is the registry of a CimFS image, which contains merged hives.
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
		return hintf(err, "name the image, or the layers below with --parent")
	case errors.Is(err, regf.ErrDirty):
		return hintf(err, "the hive was not closed: extract it with mullion cat, replay its logs with mullion hive recover")
	}
	return damagedHint(err)
}

// winVersion is the version of Windows in the JSON output of osversion and inspect.
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

// String returns text such as "10.0.20348.2700 (Windows Server 2022 Datacenter, 21H2)".
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

// osVersion returns the version of an image, or of a layer with its parents.
func (f *contentFlags) osVersion(ctx context.Context, c *console, text string) (v *winVersion, err error) {
	if _, isLayer := parseLayerRef(text); !isLayer {
		img, err := f.image.open(ctx, c, text, c.layerProgress())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, img.Close()) }()
		var warnings hiveWarnings
		found, err := img.OSVersion(ctx, warnings.add)
		if errors.Is(err, hives.ErrNoBase) {
			return nil, hintf(err, "mullion inspect shows the build that the configuration claims")
		}
		if err != nil {
			return nil, imageHint(registryHint(err))
		}
		c.stopProgress()
		warnings.print(c)
		return describeVersion(found), nil
	}
	r, err := f.openRegistry(ctx, c, text, hives.Software)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h, err := r.Open(ctx, hives.Software)
	if err != nil {
		return nil, registryHint(err)
	}
	return versionOf(h)
}

func newOSVersionCommand(c *console) *cobra.Command {
	flags := contentFlags{layer: -1}
	cmd := &cobra.Command{
		Use:     "os-version IMAGE|LAYER",
		Aliases: []string{"osversion"},
		Short:   "Print the Windows build that an image contains",
		Long: `Print the Windows version from the SOFTWARE hive, with the delta hives of all
layers merged in. The version that the image configuration claims is ignored. A
base layer is read only up to the hive; --verbose prints how many bytes.
--json adds the product, edition and installation type.

A layer that is not a base has only delta hives; --parent names the layers
below it.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			v, err := flags.osVersion(cmd.Context(), c, args[0])
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
		Short: "Print the Windows build recorded in a SOFTWARE hive",
		Long: `Print the Windows version recorded in a SOFTWARE hive in the form that image
configurations use: 10.0.20348.2700. --json adds the product, edition and
installation type.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := f.open(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			v, err := versionOf(h)
			if errors.Is(err, hives.ErrNoVersion) {
				err = hintf(err, "the version is in the SOFTWARE hive, in Windows\\System32\\config")
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
		fmt.Fprintf(&text, "\n  %s\n    %s = %s", s.Key, s.Value, valueText(s.Type, s.Data))
	}
	cmd := &cobra.Command{
		Use:   "enable-cim-boot HIVE",
		Short: "Make a utility VM's SYSTEM hive boot from CimFS",
		Long: `Add the settings to a SYSTEM hive that a utility VM needs to boot from a CimFS
image. Missing keys are created. The hive is changed in place, atomically,
unless -o names another file. The settings are
` + text.String(),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.edit(cmd.Context(), c, args[0], &out, hives.EnableCimBoot)
		},
	}
	out.addInPlace(cmd, "the changed hive")
	return cmd
}
