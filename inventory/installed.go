package inventory

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/mullion/mullion/regf"
)

// The keys in SOFTWARE; see the package comment.
const (
	uninstallKey   = `Microsoft\Windows\CurrentVersion\Uninstall`
	uninstall32Key = `WOW6432Node\` + uninstallKey
	servicingKey   = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages`
	hotfixKey      = `Microsoft\Windows NT\CurrentVersion\HotFix`
)

// stateInstalled is CurrentState of a servicing package that is installed. Others are
// staged (64), superseded (80), being installed (96) and so on.
const stateInstalled = 112

var (
	kbPattern   = regexp.MustCompile(`(?i)KB\d{5,8}`)
	guidPattern = regexp.MustCompile(`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`)
)

// subkeys yields the keys below one that need not exist.
func subkeys(h *regf.Hive, path string, each func(k regf.Key, where string) error) error {
	top, err := h.Key(path)
	if errors.Is(err, regf.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for k, err := range top.Subkeys() {
		if err == nil {
			err = each(k, path+`\`+k.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text reads a value of text without the space at its ends, "" if there is none or it
// has another type.
func text(k regf.Key, name string) (string, error) {
	v, err := k.Value(name)
	if err != nil || v.Type() == regf.RegLink {
		return "", lenient(err)
	}
	s, err := v.AsString()
	return strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD")), lenient(err)
}

// number reads a DWORD, 0 if there is none or the value has another type.
func number(k regf.Key, name string) (uint32, error) {
	v, err := k.Value(name)
	if err != nil || v.Type() != regf.RegDword {
		return 0, lenient(err)
	}
	n, err := v.AsUint32()
	return n, lenient(err)
}

// lenient passes over values that are absent or have another type.
func lenient(err error) error {
	if errors.Is(err, regf.ErrNotFound) || errors.Is(err, regf.ErrType) {
		return nil
	}
	return err
}

// readPrograms reads the Uninstall keys. A key without a display name is not shown by
// Windows either; with SystemComponent set it is installed all the same.
func readPrograms(h *regf.Hive) ([]Component, error) {
	var list []Component
	for _, from := range []struct{ key, arch string }{{uninstallKey, ""}, {uninstall32Key, "x86"}} {
		err := subkeys(h, from.key, func(k regf.Key, where string) error {
			c := Component{Kind: Program, Architecture: from.arch, Key: where}
			var date, kind string
			for _, v := range []struct {
				name string
				to   *string
			}{{"DisplayName", &c.Name}, {"DisplayVersion", &c.Version}, {"Publisher", &c.Publisher}, {"InstallDate", &date}, {"ReleaseType", &kind}} {
				var err error
				if *v.to, err = text(k, v.name); err != nil {
					return err
				}
			}
			if c.Name == "" {
				return nil
			}
			if t, err := time.Parse("20060102", date); err == nil {
				c.InstallDate = t.Format(time.DateOnly)
			}
			if strings.Contains(kind, "Update") || strings.Contains(kind, "Hotfix") {
				c.Kind, c.KB = Update, kbOf(c.Name+" "+k.Name())
			}
			msi, err := number(k, "WindowsInstaller")
			if err != nil {
				return err
			}
			if msi == 1 && guidPattern.MatchString(k.Name()) {
				c.ProductCode = strings.ToUpper(k.Name())
			}
			list = append(list, c)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// kbOf finds the number of an article in a text.
func kbOf(s string) string {
	return strings.ToUpper(kbPattern.FindString(s))
}

// readPackages reads the servicing packages that are installed.
func readPackages(h *regf.Hive) ([]Component, error) {
	var list []Component
	err := subkeys(h, servicingKey, func(k regf.Key, where string) error {
		state, err := number(k, "CurrentState")
		if err != nil || state != stateInstalled {
			return err
		}
		list = append(list, packageOf(k.Name(), where))
		return nil
	})
	return list, err
}

// packageOf reads an assembly identity, NAME~TOKEN~ARCH~LANGUAGE~VERSION.
func packageOf(identity, where string) Component {
	c := Component{Kind: Package, Name: identity, Key: where}
	if parts := strings.Split(identity, "~"); len(parts) == 5 {
		c.Name, c.Architecture, c.Version = parts[0], parts[2], parts[4]
		if parts[3] != "" {
			c.Name += "~" + parts[3]
		}
		if parts[1] == "31bf3856ad364e35" { // the key that Windows is signed with
			c.Publisher = "Microsoft Corporation"
		}
	}
	if strings.HasPrefix(c.Name, "Package_for_") {
		c.Kind, c.KB = Update, kbOf(c.Name)
	}
	return c
}

// readHotfixes reads the keys that updates of Windows before Vista create.
func readHotfixes(h *regf.Hive) ([]Component, error) {
	var list []Component
	err := subkeys(h, hotfixKey, func(k regf.Key, where string) error {
		installed, err := number(k, "Installed")
		if err != nil || installed != 1 {
			return err
		}
		about, err := text(k, "Fix Description")
		if err != nil {
			return err
		}
		c := Component{Kind: Update, Name: k.Name(), KB: kbOf(k.Name()), Publisher: "Microsoft Corporation", Key: where}
		if about != "" {
			c.Name = about
		}
		list = append(list, c)
		return nil
	})
	return list, err
}
