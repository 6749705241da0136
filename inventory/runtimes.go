package inventory

import (
	"cmp"
	"context"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// The keys in SOFTWARE of Windows PowerShell, of PowerShell 6 and later, and of IIS.
const (
	powerShellKey     = `Microsoft\PowerShell`
	powerShellCoreKey = `Microsoft\PowerShellCore\InstalledVersions`
	iisKey            = `Microsoft\InetStp`
)

// The files whose version resource has the version of PowerShell and of OpenSSH. Archives of
// both are unpacked anywhere, images of PowerShell have it in "Program Files\PowerShell".
const (
	powerShellFile = "pwsh.dll"
	openSSHFile    = "sshd.exe"
	// Windows has its own OpenSSH here, and corrects it with its updates.
	windowsOpenSSH = `Files\Windows\System32\OpenSSH\` + openSSHFile
	maxRuntimeFile = 64 << 20 // bytes
)

// runtimes finds PowerShell, OpenSSH and IIS.
type runtimes struct{}

func (runtimes) Name() string { return "runtimes" }

// Wants implements Cataloger. The side-by-side store of Windows has the files of its packages
// whether or not they are installed.
func (runtimes) Wants(path string, size int64) bool {
	name := path[strings.LastIndexByte(path, '\\')+1:]
	if size > maxRuntimeFile || !strings.EqualFold(name, powerShellFile) && !strings.EqualFold(name, openSSHFile) {
		return false
	}
	const windows = `Files\Windows\`
	return len(path) < len(windows) || !strings.EqualFold(path[:len(windows)], windows) || strings.EqualFold(path, windowsOpenSSH)
}

// CatalogFile implements FileCataloger.
func (runtimes) CatalogFile(_ context.Context, f *File) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		where := FileEvidence(f.Path)
		p, err := openPE(f.Content, f.Size)
		var v peVersion
		if err == nil {
			v, err = p.version()
		}
		if err != nil {
			yield(Component{}, Skip(where, err))
			return
		}
		c := Component{Kind: Runtime, SHA256: f.SHA256, Evidence: where, Publisher: v.texts["CompanyName"]}
		c.Architecture, _ = p.architecture()
		if strings.HasSuffix(strings.ToLower(f.Path), openSSHFile) {
			openSSH(&c, f.Path, &v)
		} else {
			powerShellOf(&c, &v)
		}
		yield(c, nil)
	}
}

var openSSHPattern = regexp.MustCompile(`^OpenSSH_([0-9]{1,4}\.[0-9]{1,4})(p[0-9]{1,4})?\b`)

// openSSH fills in what the server of OpenSSH for Windows says, whose product version is
// "OpenSSH_8.1p1 for Windows".
func openSSH(c *Component, path string, v *peVersion) {
	c.Name, c.Version = "OpenSSH for Windows", v.fileVersion()
	m := openSSHPattern.FindStringSubmatch(v.texts["ProductVersion"])
	if m == nil {
		return
	}
	c.Version = m[1] + m[2]
	c.SetProperty("fullVersion", v.file)
	if strings.EqualFold(path, windowsOpenSSH) {
		return
	}
	c.CPEs = []string{"cpe:2.3:a:openbsd:openssh:" + m[1] + ":" + cmp.Or(m[2], "*") + ":*:*:*:*:*:*"}
}

// powerShellOf fills in what PowerShell says, whose product version is the semantic version
// and that of its source, "7.4.1 SHA: …".
func powerShellOf(c *Component, v *peVersion) {
	c.Name, c.Version = "PowerShell", v.fileVersion()
	first, _, _ := strings.Cut(v.texts["ProductVersion"], " ")
	if first, _, _ = strings.Cut(first, "+"); versionPattern.MatchString(first) {
		c.Version = first
		c.SetProperty("fullVersion", v.file)
		if cpe := powerShellCPE(first); cpe != "" {
			c.CPEs = []string{cpe}
		}
	}
}

// Complete implements Completer: PowerShell that Windows Installer has registered is one
// component with its file, if the file is in the directory that the registry names.
func (runtimes) Complete(_ context.Context, _ System, all []Component) []Component {
	registered := map[string]int{}
	at := func(dir, version string) string { return winfs.Fold(strings.TrimRight(dir, `\`)) + "\x00" + version }
	mine := func(c *Component) bool { return c.FoundBy == (runtimes{}).Name() && c.Name == "PowerShell" }
	for i := range all {
		if below, ok := onSystemDrive(all[i].Property("installLocation")); ok && mine(&all[i]) {
			registered[at(`Files\`+below, all[i].Version)] = i
		}
	}
	gone := make([]bool, len(all))
	for i := range all {
		c := &all[i]
		if !mine(c) || c.Evidence[0].Path == "" {
			continue
		}
		dir, _ := winfs.SplitPath(c.Evidence[0].Path)
		if to, ok := registered[at(dir, c.Version)]; ok {
			merge(&all[to], c)
			gone[i] = true
		}
	}
	kept := all[:0]
	for i, c := range all {
		if !gone[i] {
			kept = append(kept, c)
		}
	}
	return kept
}

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
