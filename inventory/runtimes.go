package inventory

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// The keys in SOFTWARE of Windows PowerShell, of PowerShell 6 and later, and of IIS.
const (
	powerShellKey     = `Microsoft\PowerShell`
	powerShellCoreKey = `Microsoft\PowerShellCore\InstalledVersions`
	iisKey            = `Microsoft\InetStp`
)

// runtimes finds PowerShell and IIS.
type runtimes struct{ registryOnly }

func (runtimes) Name() string { return "runtimes" }

func (runtimes) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.Software, powerShellKey), err))
			return
		}
		for _, find := range []func(context.Context, *regf.Hive, func(Component, error) bool) bool{windowsPowerShell, powerShellCore, iis} {
			if !find(ctx, h, yield) {
				return
			}
		}
	}
}

// windowsPowerShell yields the one that is a part of Windows. Engine 3 is that of versions 3 to
// 5.1, beside which engine 1 still runs scripts for version 2.
func windowsPowerShell(_ context.Context, h *regf.Hive, yield func(Component, error) bool) bool {
	for _, engine := range []string{"3", "1"} {
		path := powerShellKey + `\` + engine + `\PowerShellEngine`
		where := KeyEvidence(hives.Software, path)
		k, err := h.Key(path)
		if err != nil {
			if lenient(err) != nil && !yield(Component{}, Skip(where, err)) {
				return false
			}
			continue
		}
		v := values{key: k}
		c := Component{Kind: Runtime, Name: "Windows PowerShell", Version: v.text("PowerShellVersion"), Publisher: microsoft, Evidence: where}
		if c.Version != "" || v.err != nil {
			return yield(c, Skip(where, v.err))
		}
	}
	return true
}

// powerShellCore yields those that Windows Installer has installed, by product.
func powerShellCore(ctx context.Context, h *regf.Hive, yield func(Component, error) bool) bool {
	for _, from := range []struct{ key, arch string }{{powerShellCoreKey, ""}, {`WOW6432Node\` + powerShellCoreKey, "386"}} {
		for k, err := range subkeys(h, from.key) {
			if ctx.Err() != nil {
				return false
			}
			c := Component{Kind: Runtime, Name: "PowerShell", Publisher: microsoft, Architecture: from.arch, Evidence: KeyEvidence(hives.Software, k.path)}
			if err == nil {
				v := values{key: k.Key}
				c.Version = v.text("SemanticVersion")
				c.SetProperty("installLocation", v.text("InstallLocation"))
				err = v.err
			}
			if cpe := powerShellCPE(c.Version); cpe != "" {
				c.CPEs = []string{cpe}
			}
			if (c.Version != "" || err != nil) && !yield(c, Skip(c.Evidence, err)) {
				return false
			}
		}
	}
	return true
}

// powerShellCPE is the name of a version in the National Vulnerability Database, "" for a
// preview.
func powerShellCPE(version string) string {
	if !numericPattern.MatchString(version) {
		return ""
	}
	product := "powershell"
	if strings.HasPrefix(version, "6.") {
		product = "powershell_core"
	}
	return "cpe:2.3:a:microsoft:" + product + ":" + version + ":*:*:*:*:*:*:*"
}

// iis yields Internet Information Services. The key without a version is that of other parts
// of Windows that share its setup.
func iis(_ context.Context, h *regf.Hive, yield func(Component, error) bool) bool {
	where := KeyEvidence(hives.Software, iisKey)
	k, err := h.Key(iisKey)
	if err != nil {
		return lenient(err) == nil || yield(Component{}, Skip(where, err))
	}
	v := values{key: k}
	major, minor := v.number("MajorVersion"), v.number("MinorVersion")
	if major == 0 && v.err == nil {
		return true
	}
	c := Component{Kind: Runtime, Name: "Internet Information Services", Publisher: microsoft, Evidence: where,
		Version: strconv.FormatUint(uint64(major), 10) + "." + strconv.FormatUint(uint64(minor), 10)}
	c.SetProperty("installLocation", v.text("InstallPath"))
	return yield(c, Skip(where, v.err))
}
