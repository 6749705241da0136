package image_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// program returns the head of a PE file for a machine.
func program(machine uint16) string {
	b := make([]byte, 512)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 128)
	copy(b[128:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[132:], machine)
	return string(b)
}

// hiveWith makes a hive and edits its base block afterwards, with a valid checksum.
func hiveWith(t *testing.T, fill func(h *regf.Hive) error, block func(b []byte)) string {
	t.Helper()
	h := regf.New(nil)
	defer h.Close()
	var b bytes.Buffer
	if err := fill(h); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteImage(&b); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	if block != nil {
		block(raw)
		binary.LittleEndian.PutUint32(raw[508:], regf.HeaderChecksum(raw))
	}
	return string(raw)
}

func nothing(*regf.Hive) error { return nil }

// deletes fills a delta hive that deletes the key Setup.
func deletes(h *regf.Hive) error {
	if err := h.SetLayered(true); err != nil {
		return err
	}
	k, _, err := h.Root().Create("Setup")
	if err != nil {
		return err
	}
	return k.SetLayer(regf.LayerTombstone, false)
}

// linked fills a hive with a symbolic link whose value has another name than Windows
// allows.
func linked(name string) func(h *regf.Hive) error {
	return func(h *regf.Hive) error {
		k, _, err := h.Root().CreateWith("Link", regf.CreateOptions{Options: regf.CreateLink})
		if err != nil {
			return err
		}
		return k.SetValue(name, regf.RegLink, []byte("\\\x00R\x00x\x00"))
	}
}

// TestImageFaults: an image with one fault for each rule has its finding, and the same
// image without it has no finding but those of its tars, which have no descriptors.
func TestImageFaults(t *testing.T) {
	base := hiveEntries(t)
	roots := []entry{{kind: layer.Dir, path: "Files"}, {kind: layer.Dir, path: "Hives"}}
	over := func(more ...entry) [][]entry { return [][]entry{base, slices.Concat(roots, more)} }
	file := func(path, data string) entry { return entry{kind: layer.File, path: path, data: data} }
	delta := func(data string) [][]entry { return over(file(`Hives\System_Delta`, data)) }
	software := func(data string) [][]entry {
		changed := slices.Clone(base)
		for i := range changed {
			if changed[i].path == hives.Software.Path(hives.Config) {
				changed[i].data = data
			}
		}
		return [][]entry{changed}
	}
	host := func(version string) image.CheckOption {
		return image.CheckHost(image.Platform{OS: "windows", OSVersion: version, Architecture: "amd64"})
	}
	dirty := func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 7) }
	minor := func(n uint32) func(b []byte) { return func(b []byte) { binary.LittleEndian.PutUint32(b[24:], n) } }
	unlayered := func(b []byte) { b[0x90] &^= regf.HeaderLayered }
	corrupt := strings.Replace(hiveWith(t, deletes, nil), "lh\x01\x00", "no\x01\x00", 1) // the list of subkeys
	broken := map[string]bool{}
	for _, c := range []struct {
		want      string // severity, rule, path
		bad, good [][]entry
		version   string // of the bad image, "" for that of the hives
		opts      []image.CheckOption
		goodOpts  []image.CheckOption
	}{
		{want: `error registry-hive-empty Hives\System_Delta`, bad: delta(""), good: delta(hiveWith(t, deletes, nil))},
		{want: `error registry-hive Hives\System_Delta`, bad: delta("junk"), good: over()},
		{want: `error registry-hive-dirty Hives\System_Delta`, bad: delta(hiveWith(t, nothing, dirty)), good: delta(hiveWith(t, nothing, nil))},
		{want: `error registry-hive-version Hives\System_Delta`, bad: delta(hiveWith(t, nothing, minor(2))), good: delta(hiveWith(t, nothing, minor(3)))},
		{want: `error registry-hive-version ` + hives.Software.Path(hives.Config), bad: software(hiveWith(t, deletes, nil)), good: software(hiveWith(t, nothing, nil))},
		{want: `error registry-hive-corrupt Hives\System_Delta`, bad: delta(corrupt), good: delta(hiveWith(t, nothing, nil))},
		{want: `error delta-hive-not-layered Hives\System_Delta`, bad: delta(hiveWith(t, deletes, unlayered)), good: delta(hiveWith(t, deletes, nil))},
		{want: `warning registry-values-omitted Hives\System_Delta`, bad: delta(hiveWith(t, linked("Target"), nil)), good: delta(hiveWith(t, linked("SymbolicLinkValue"), nil))},
		{want: `error os-version-differs ` + hives.Software.Path(hives.Config), bad: [][]entry{base}, good: [][]entry{base}, version: "10.0.17763.2700"},
		{want: `warning os-version-differs ` + hives.Software.Path(hives.Config), bad: [][]entry{base}, good: [][]entry{base}, version: "10.0.20348.2701"},
		{want: `error host-cannot-run `, bad: [][]entry{base}, good: [][]entry{base}, opts: []image.CheckOption{host("10.0.17763")}, goodOpts: []image.CheckOption{host("10.0.20348")}},
		{want: `warning executable-machine Files\a.EXE`, bad: over(file(`Files\a.EXE`, program(0xAA64))), good: over(file(`Files\a.EXE`, program(0x14C)))},
		{want: `error executable-machine Files\a.sys`, bad: over(file(`Files\a.sys`, program(0x14C))), good: over(file(`Files\a.sys`, program(0x8664)))},
		{want: `error utility-vm-below-missing UtilityVM\Files`, bad: over(entry{kind: layer.Dir, path: "UtilityVM"}, entry{kind: layer.Dir, path: `UtilityVM\Files`}), good: over()},
		{want: `error link-target-missing Files\l`, bad: over(entry{kind: layer.Link, path: `Files\l`, target: `Files\no`}), good: over(entry{kind: layer.Link, path: `Files\l`, target: hives.SAM.Path(hives.Config)})},
		{want: `error registry-hive-place Hives\SYSTEM_BASE`, bad: over(file(`Hives\SYSTEM_BASE`, "x")), good: over()},
		{want: `error base-hive-missing ` + hives.System.Path(hives.Config), bad: [][]entry{base[:len(base)-1]}, good: [][]entry{base}},
	} {
		rules := func(layers [][]entry, version string, opts []image.CheckOption) []string {
			img := gzipped(layers...)(t)
			if version != "" {
				img.Config.OSVersion = version
			}
			found, err := finding.Collect(openLayout(t, layout(t, img)).Check(t.Context(), opts...))
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, f := range found {
				if f.Rule != layer.RuleNoDescriptor.ID {
					out = append(out, fmt.Sprintf("%v %s %s", f.Severity, f.Rule, f.Path))
				}
			}
			return out
		}
		if got := rules(c.bad, c.version, c.opts); !slices.Contains(got, c.want) {
			t.Errorf("%s is not found, but %q", c.want, got)
		}
		if got := rules(c.good, "", c.goodOpts); len(got) > 0 {
			t.Errorf("where %s does not hold there is %q", c.want, got)
		}
		broken[strings.Fields(c.want)[1]] = true
	}
	documentFaults(t, base, broken)
	for _, r := range image.Rules() {
		if !broken[r.ID] {
			t.Errorf("nothing breaks %s", r.ID)
		}
	}
}

// documentFaults breaks the rules of the documents and blobs of an image, which is without
// findings as it is made, and notes those that were found.
func documentFaults(t *testing.T, base []entry, broken map[string]bool) {
	for want, c := range map[string]struct {
		change func(img *imagetest.Image)
		after  func(dir string, img *image.Image)
	}{
		"warning os-version-missing": {change: func(img *imagetest.Image) { img.Config.OSVersion = "" }},
		"error no-layers":            {change: func(img *imagetest.Image) { img.Layers = nil }},
		"warning foreign-without-urls": {change: func(img *imagetest.Image) {
			img.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		}},
		"warning media-type": {change: func(img *imagetest.Image) { img.Layers[0].MediaType = ocispec.MediaTypeImageLayerZstd }},
		"error media-type":   {change: func(img *imagetest.Image) { img.Layers[0].MediaType = "application/octet-stream" }},
		"error blob-missing": {change: func(img *imagetest.Image) { img.Layers[0].Absent = true }},
		"error blob-unreadable": {change: func(img *imagetest.Image) {
			img.Layers[0] = imagetest.Layer{Tar: []byte("\x1f\x8b\x08 and no more of a gzip stream"), MediaType: ocispec.MediaTypeImageLayerGzip}
		}},
		"error blob-mismatch": {after: func(dir string, img *image.Image) { flip(t, dir, string(img.Layers()[0].Descriptor.Digest)) }},
	} {
		check := func(faulty bool) (all []string) {
			img := gzipped(base)(t)
			if faulty && c.change != nil {
				c.change(&img)
			}
			dir := layout(t, img)
			opened := openLayout(t, dir)
			if faulty && c.after != nil {
				c.after(dir, opened)
			}
			found, err := finding.Collect(opened.Check(t.Context()))
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			for _, f := range found {
				if f.Rule != layer.RuleNoDescriptor.ID {
					all = append(all, fmt.Sprintf("%v %s", f.Severity, f.Rule))
				}
			}
			return all
		}
		if got := check(true); !slices.Contains(got, want) {
			t.Errorf("%s is not found, but %q", want, got)
		}
		if got := check(false); len(got) > 0 {
			t.Errorf("where %s does not hold there is %q", want, got)
		}
		broken[strings.Fields(want)[1]] = true
	}
}

// TestMachineOfNothing: the head of a file that is no PE file, or a cut one, says nothing.
func TestMachineOfNothing(t *testing.T) {
	whole := program(0xAA64)
	far := []byte(whole)
	binary.LittleEndian.PutUint32(far[60:], 1<<31)
	near := []byte(whole)
	binary.LittleEndian.PutUint32(near[60:], 4)
	for name, data := range map[string]string{"text": strings.Repeat("x", 100), "short": whole[:63], "cut": whole[:133], "no signature": strings.Replace(whole, "PE\x00", "NE\x00", 1), "far": string(far), "near": string(near), "empty": ""} {
		img := gzipped(hiveEntries(t), []entry{{kind: layer.Dir, path: "Files"}, {kind: layer.Dir, path: "Hives"}, {kind: layer.File, path: `Files\a.exe`, data: data}})(t)
		for f, err := range openLayout(t, layout(t, img)).Check(t.Context()) {
			if err != nil || f.Rule == image.RuleMachine.ID {
				t.Errorf("%s: %v, %v", name, f, err)
			}
		}
	}
}
