package fusefs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// Permissions follow descriptors, and hives are accessible to their owner only, under any
// name.
func TestModes(t *testing.T) {
	s, err := NewSpool("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // after the mount, which reads it
	sd := func(text string) []byte {
		d, err := winsec.ParseSDDL(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const open = "O:SYG:SYD:(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
	secret := "O:SYG:SYD:(A;;FA;;;SY)(A;;FA;;;BA)"
	cases := []struct {
		path, sddl string // a directory ends with a backslash
		link       string
		want       os.FileMode
	}{
		{`Files\`, open, "", 0o755},
		{`Files\none`, "", "", 0o755},
		{`Files\open`, open, "", 0o755},
		{`Files\secret`, secret, "", 0o700},
		{`Files\read`, "D:(A;;FR;;;WD)", "", 0o744},
		{`Files\denied`, "D:(D;;FR;;;WD)(A;;FA;;;WD)", "", 0o711},
		{`Files\inherit`, "D:(A;OICIIO;FA;;;WD)", "", 0o700},
		{`Files\dir\`, secret, "", 0o711},
		{`Files\Windows\`, open, "", 0o755},
		{`Files\Windows\System32\`, open, "", 0o755},
		{`Files\Windows\System32\Config\`, open, "", 0o755},
		{`Files\Windows\System32\Config\SAM`, open, "", 0o600},
		{`Hives\`, open, "", 0o755},
		{`Hives\SAM_BASE`, "", `Files\Windows\System32\Config\SAM`, 0o600},
	}
	for _, e := range cases {
		entry := &layer.Entry{Path: e.path, Kind: layer.File, Attributes: winfs.AttrNormal, Target: e.link}
		if name, dir := strings.CutSuffix(e.path, `\`); dir {
			entry.Path, entry.Kind, entry.Attributes = name, layer.Dir, winfs.AttrDirectory
		}
		if e.link != "" {
			entry.Kind = layer.Link
		}
		if e.sddl != "" {
			entry.Security = sd(e.sddl)
		}
		if err := s.Add(entry); err != nil {
			t.Fatalf("%s: %v", e.path, err)
		}
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	dir := mount(t, s)
	for _, e := range cases {
		for _, spelled := range []string{e.path, strings.ToUpper(e.path)} {
			st, err := os.Lstat(filepath.Join(dir, winfs.ToSlash(spelled)))
			if err != nil || st.Mode().Perm() != e.want {
				t.Errorf("%s: %v, %v; want %v", spelled, st.Mode(), err, e.want)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(mounts) {
		if bytes.Contains(line, []byte(" "+dir+" ")) && bytes.Contains(line, []byte("allow_other")) {
			t.Errorf("shown to everybody: %s", line)
		}
	}
}
