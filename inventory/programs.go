package inventory

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"strings"
	"time"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// The keys of programs in SOFTWARE; see the package comment. In the hive of a user they are
// below Software.
const (
	uninstallKey   = `Microsoft\Windows\CurrentVersion\Uninstall`
	uninstall32Key = `WOW6432Node\` + uninstallKey
)

// systemSID is the account of Windows itself, whose registry is the hive DEFAULT.
const systemSID = "S-1-5-18"

var guidPattern = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`)

// programs finds the programs that installers have registered, for all users and for each.
type programs struct{}

func (programs) Name() string { return "programs" }

// Wants implements Cataloger: the hives of users and their logs.
func (programs) Wants(path string, size int64) bool { return wantsUserHive(path, size) }

func (programs) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		machine := func(n hives.Name, below, user string) bool {
			h, err := s.Hive(n)
			if err != nil {
				return errors.Is(err, hives.ErrNoBase) || yield(Component{}, Skip(KeyEvidence(n, below+uninstallKey), err))
			}
			return uninstalls(ctx, h, below, user, func(key string) []Evidence { return KeyEvidence(n, key) }, yield)
		}
		if !machine(hives.Software, "", "") || !machine(hives.Default, `Software\`, systemSID) {
			return
		}
		for u, err := range s.Users() {
			if err != nil {
				if !yield(Component{}, err) {
					return
				}
				continue
			}
			where := func(key string) []Evidence { return []Evidence{{Path: u.Path, Key: key, Layer: -1}} }
			if ctx.Err() != nil || !uninstalls(ctx, u.Hive, `Software\`, u.SID, where, yield) {
				return
			}
		}
	}
}

// uninstalls yields the programs of one hive, and reports whether more are wanted.
func uninstalls(ctx context.Context, h *regf.Hive, below, user string, where func(key string) []Evidence, yield func(Component, error) bool) bool {
	for _, from := range []struct{ key, arch string }{{uninstallKey, ""}, {uninstall32Key, "386"}} {
		for k, err := range subkeys(h, below+from.key) {
			if ctx.Err() != nil {
				return false
			}
			c, ok := Component{}, true
			if err == nil {
				c, ok, err = programOf(k)
			}
			c.Architecture, c.Evidence = from.arch, where(k.path)
			c.SetProperty("user", user)
			if (ok || err != nil) && !yield(c, Skip(c.Evidence, err)) {
				return false
			}
		}
	}
	return true
}

// programOf reads an Uninstall key. A key without a display name is not shown by Windows
// either; with SystemComponent set it is installed all the same.
func programOf(k place) (c Component, ok bool, err error) {
	v := values{key: k.Key}
	c = Component{Kind: Program, Name: v.text("DisplayName"), Version: v.text("DisplayVersion"), Publisher: v.text("Publisher")}
	c.Installed = installDate(v.text("InstallDate"))
	if kind := v.text("ReleaseType"); strings.Contains(kind, "Update") || strings.Contains(kind, "Hotfix") {
		c.Kind, c.KB = Update, kbOf(c.Name+" "+k.Name())
	}
	if v.number("WindowsInstaller") == 1 && guidPattern.MatchString(k.Name()) {
		c.ProductCode = strings.ToUpper(k.Name())
	}
	c.SetProperty("installLocation", v.text("InstallLocation"))
	c.SetProperty("parent", parentOf(v.text("ParentKeyName")))
	if v.number("SystemComponent") == 1 {
		c.SetProperty("systemComponent", "true")
	}
	return c, c.Name != "", v.err
}

// parentOf spells the name of a key as ProductCode does if it is a GUID.
func parentOf(key string) string {
	if guidPattern.MatchString(key) {
		return strings.ToUpper(key)
	}
	return key
}

// installDate reads a date as Windows Installer writes it, YYYYMMDD. Other installers write
// what they like, which is no date then.
func installDate(s string) time.Time {
	t, err := time.Parse("20060102", s)
	if err != nil {
		return time.Time{}
	}
	return t
}
