package inventory

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

// userDataKey is the key in SOFTWARE below which Windows Installer keeps its products: by the
// SID of the user who has them, S-1-5-18 for all users, then Products and their packed codes.
const userDataKey = `Microsoft\Windows\CurrentVersion\Installer\UserData`

// patchApplied is the value State of a patch that is in use; others are superseded (2),
// obsoleted (4) and registered (8) (msi.h: MSIPATCHSTATE).
const patchApplied = 1

// msi finds the products and patches of Windows Installer.
type msi struct{ registryOnly }

func (msi) Name() string { return "msi" }

func (msi) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.Software, userDataKey), err))
			return
		}
		fault := func(path string, err error) bool {
			return yield(Component{}, Skip(KeyEvidence(hives.Software, path), err))
		}
		for sid, err := range subkeys(h, userDataKey) {
			if err != nil {
				if !fault(sid.path, err) {
					return
				}
				continue
			}
			user := sid.Name()
			if user == systemSID {
				user = ""
			}
			for k, err := range subkeys(h, sid.path+`\Products`) {
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					if !fault(k.path, err) {
						return
					}
					continue
				}
				if code, ok := unpackGUID(k.Name()); ok && !product(ctx, k, code, user, yield) {
					return
				}
			}
		}
	}
}

// product yields a product and its patches, and reports whether more are wanted.
func product(ctx context.Context, k place, code, user string, yield func(Component, error) bool) bool {
	name := code
	if props, err := k.Subkey("InstallProperties"); lenient(err) != nil {
		if !yield(Component{}, Skip(KeyEvidence(hives.Software, k.path), err)) {
			return false
		}
	} else if err == nil {
		at := place{props, k.path + `\` + props.Name()}
		c, ok, err := productOf(at, code)
		c.SetProperty("user", user)
		if ok {
			name = c.Name
		}
		if (ok || err != nil) && !yield(c, Skip(c.Evidence, err)) {
			return false
		}
	}
	for p, err := range subkeys(k.Hive(), k.path+`\Patches`) {
		if ctx.Err() != nil {
			return false
		}
		c, ok := Component{}, true
		if err == nil {
			c, ok, err = patchOf(p, name)
		}
		c.Evidence = KeyEvidence(hives.Software, p.path)
		c.SetProperty("parent", code)
		c.SetProperty("user", user)
		if (ok || err != nil) && !yield(c, Skip(c.Evidence, err)) {
			return false
		}
	}
	return true
}

// productOf reads the properties of a product; without a name it is only advertised.
func productOf(k place, code string) (c Component, ok bool, err error) {
	v := values{key: k.Key}
	c = Component{Kind: Program, Name: v.text("DisplayName"), Version: v.text("DisplayVersion"), Publisher: v.text("Publisher"),
		Installed: installDate(v.text("InstallDate")), ProductCode: code, Evidence: KeyEvidence(hives.Software, k.path)}
	c.SetProperty("installLocation", v.text("InstallLocation"))
	if v.number("SystemComponent") == 1 {
		c.SetProperty("systemComponent", "true")
	}
	return c, c.Name != "", v.err
}

// patchOf reads the key of a patch of a product. One that is not applied, or that another has
// superseded, has no effect.
func patchOf(k place, product string) (c Component, ok bool, err error) {
	code, ok := unpackGUID(k.Name())
	if !ok {
		return c, false, nil
	}
	v := values{key: k.Key}
	c = Component{Kind: Update, Name: v.text("DisplayName"), State: Installed, Installed: installDate(v.text("Installed"))}
	if c.KB = kbOf(c.Name); c.Name == "" {
		c.Name = "Patch of " + product
	}
	c.SetProperty("patchCode", code)
	return c, v.number("State") == patchApplied, v.err
}

// unpackGUID reads a GUID as Windows Installer names keys: 32 hexadecimal digits, those of the
// first three groups in reverse order, those of each following byte swapped. The result is in
// braces and upper case.
func unpackGUID(s string) (string, bool) {
	if len(s) != 32 {
		return "", false
	}
	b := []byte(strings.ToUpper(s))
	for start, sizes := 0, []int{8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2}; len(sizes) > 0; sizes = sizes[1:] {
		slices.Reverse(b[start : start+sizes[0]])
		start += sizes[0]
	}
	text := string(b[:8]) + "-" + string(b[8:12]) + "-" + string(b[12:16]) + "-" + string(b[16:20]) + "-" + string(b[20:])
	if _, err := winfs.ParseGUID(text); err != nil {
		return "", false
	}
	return "{" + text + "}", true
}

// Complete implements Completer: a product that also has an Uninstall key is one component,
// with both places, and so is a patch.
func (msi) Complete(_ context.Context, _ System, all []Component) []Component {
	type identity struct{ code, user, kb string }
	identify := func(c *Component) (identity, bool) {
		id := identity{c.ProductCode, c.Property("user"), ""}
		if c.Kind == Update {
			id.code, id.kb = c.Property("parent"), c.KB
			return id, id.code != "" && id.kb != ""
		}
		return id, id.code != ""
	}
	first := map[identity]int{}
	for i := range all {
		if id, ok := identify(&all[i]); ok && all[i].FoundBy == (programs{}).Name() {
			if _, dup := first[id]; !dup {
				first[id] = i
			}
		}
	}
	kept := all[:0]
	// Those that stay move down, so that the index of one that is merged into changes.
	moved := make([]int, len(all))
	var later []Component
	for i := range all {
		c := all[i]
		id, ok := identify(&c)
		if _, known := first[id]; ok && known && c.FoundBy == (msi{}).Name() {
			later = append(later, c)
			continue
		}
		moved[i] = len(kept)
		kept = append(kept, c)
	}
	for i := range later {
		id, _ := identify(&later[i])
		merge(&kept[moved[first[id]]], &later[i])
	}
	return kept
}

// merge adds to a component what another one of the same thing has.
func merge(to, from *Component) {
	for _, f := range []struct{ to, from *string }{{&to.Version, &from.Version}, {&to.Publisher, &from.Publisher}, {&to.ProductCode, &from.ProductCode},
		{&to.Architecture, &from.Architecture}, {&to.SHA256, &from.SHA256}} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if to.State == "" {
		to.State = from.State
	}
	if to.Installed.IsZero() {
		to.Installed = from.Installed
	}
	for _, p := range from.Properties {
		if to.Property(p.Name) == "" {
			to.SetProperty(p.Name, p.Value)
		}
	}
	to.Evidence = append(to.Evidence, from.Evidence...)
}
