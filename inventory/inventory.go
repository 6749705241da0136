package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
)

// Kind is the kind of a component.
type Kind string

// The kinds of component.
const (
	Program Kind = "program" // has an Uninstall key
	Package Kind = "package" // a servicing package that is not an update: a feature, a language
	Update  Kind = "update"  // a servicing package or hotfix with fixes
)

// Component is one thing that is installed.
type Component struct {
	Kind      Kind   `json:"kind"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"`
	Publisher string `json:"publisher,omitempty"`
	// Architecture is x86 for programs of WOW6432Node, and the architecture in the
	// identity of a servicing package, such as "amd64"; empty if unknown.
	Architecture string `json:"architecture,omitempty"`
	// KB is the number of the article about an update, "KB5034439", where its name has it.
	KB string `json:"kb,omitempty"`
	// InstallDate is YYYY-MM-DD as an installer has written it, empty if it has not.
	InstallDate string `json:"installDate,omitempty"`
	// ProductCode is the GUID of a Windows Installer product, in braces.
	ProductCode string `json:"productCode,omitempty"`
	// Key is the component's key in the SOFTWARE hive.
	Key string `json:"key"`
}

// Inventory lists the installed components of an image.
type Inventory struct {
	// OS is the Windows itself; HasOS is false for a hive that names none.
	OS    hives.OSVersion `json:"-"`
	HasOS bool            `json:"-"`
	// Components are sorted by kind, name, version and key.
	Components []Component `json:"components"`
	// Warnings are faults of the hives that cannot change the list, see [regf.Harmless].
	Warnings []finding.Finding `json:"-"`
}

// Subject is the image that an inventory is about.
type Subject struct {
	Name         string    // reference, for people
	Digest       string    // of the manifest, "sha256:…"
	Architecture string    // of the configuration, "amd64"
	Created      time.Time // zero if the configuration does not say
}

// Read lists the components that a SOFTWARE hive registers. The list of a hive without
// any of the keys is empty. Values of wrong types count as missing, because installers
// write them. Errors are those of reading the hive.
func Read(software *regf.Hive) (*Inventory, error) {
	inv := &Inventory{Components: []Component{}}
	v, err := hives.OSVersionOf(software)
	switch {
	case err == nil:
		inv.OS, inv.HasOS = v, true
	case !errors.Is(err, hives.ErrNoVersion):
		return nil, err
	}
	for _, read := range []func(*regf.Hive) ([]Component, error){readPrograms, readPackages, readHotfixes} {
		list, err := read(software)
		if err != nil {
			return nil, fmt.Errorf("read what is installed: %w", err)
		}
		inv.Components = append(inv.Components, list...)
	}
	slices.SortFunc(inv.Components, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Key, b.Key))
	})
	return inv, nil
}

// Of lists the components of an image, from its SOFTWARE hive with the deltas of all
// layers merged in, and keeps the list in the cache of the image. For an image without the
// hive the error is hives.ErrNoBase.
func Of(ctx context.Context, img *image.Image) (inv *Inventory, s Subject, err error) {
	s = Subject{Name: img.Reference().String(), Digest: string(img.Digest()), Architecture: img.Platform().Architecture}
	if c := img.Config(); c.Created != nil {
		s.Created = c.Created.UTC()
	}
	var was kept
	if img.Answer(answerKind, &was) {
		return &Inventory{OS: was.OS, HasOS: was.HasOS, Components: was.Components}, s, nil
	}
	found, err := image.FindHives(ctx, img.Sources(ctx), hives.Software)
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	var warnings []finding.Finding
	found.Warn = func(f finding.Finding) { warnings = append(warnings, f) }
	h, err := found.View(ctx, hives.Software)
	if err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if inv, err = Read(h); err != nil {
		return nil, s, err
	}
	if inv.Warnings = warnings; len(warnings) == 0 {
		img.Keep(answerKind, kept{inv.OS, inv.HasOS, inv.Components})
	}
	return inv, s, nil
}

// kept is an inventory in the cache of an image.
type kept struct {
	OS         hives.OSVersion
	HasOS      bool
	Components []Component
}

// answerKind names it. The number goes up with its form, or with what Read finds.
const answerKind = "inventory1"
