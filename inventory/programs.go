package inventory

import (
	"context"
	"iter"
	"regexp"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
)

// The keys of programs in SOFTWARE; see the package comment.
const (
	uninstallKey   = `Microsoft\Windows\CurrentVersion\Uninstall`
	uninstall32Key = `WOW6432Node\` + uninstallKey
)

var guidPattern = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`)

// programs finds the programs that installers have registered.
type programs struct{ registryOnly }

func (programs) Name() string { return "programs" }

func (programs) Catalog(_ context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.Software, uninstallKey), err))
			return
		}
		for _, from := range []struct{ key, arch string }{{uninstallKey, ""}, {uninstall32Key, "386"}} {
			for k, err := range subkeys(h, from.key) {
				where := KeyEvidence(hives.Software, k.path)
				c, ok := Component{}, true
				if err == nil {
					c, ok, err = programOf(k)
				}
				c.Architecture, c.Evidence = from.arch, where
				if (ok || err != nil) && !yield(c, Skip(where, err)) {
					return
				}
			}
		}
	}
}

// programOf reads an Uninstall key. A key without a display name is not shown by Windows
// either; with SystemComponent set it is installed all the same.
func programOf(k place) (c Component, ok bool, err error) {
	v := values{key: k.Key}
	c = Component{Kind: Program, Name: v.text("DisplayName"), Version: v.text("DisplayVersion"), Publisher: v.text("Publisher")}
	if t, err := time.Parse("20060102", v.text("InstallDate")); err == nil {
		c.Installed = t
	}
	if kind := v.text("ReleaseType"); strings.Contains(kind, "Update") || strings.Contains(kind, "Hotfix") {
		c.Kind, c.KB = Update, kbOf(c.Name+" "+k.Name())
	}
	if v.number("WindowsInstaller") == 1 && guidPattern.MatchString(k.Name()) {
		c.ProductCode = strings.ToUpper(k.Name())
	}
	return c, c.Name != "", v.err
}
