package cimlayer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/hives/bcd"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

const (
	vmSystem   = `UtilityVM\Files\Windows\System32\config\SYSTEM`
	vmSoftware = `UtilityVM\Files\Windows\System32\config\SOFTWARE`
	vmBCD      = `UtilityVM\Files\EFI\Microsoft\Boot\BCD`
)

// bootStore is a store with a boot manager and a loader that is its default, as a
// genuine one has them; f completes it.
func bootStore(t *testing.T, f func(s *bcd.Store, loader winfs.GUID)) string {
	t.Helper()
	h, s, err := bcd.New(&regf.Options{Clock: func() winfs.Filetime { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	manager, err := bcd.ParseAlias("{bootmgr}")
	if err != nil {
		t.Fatal(err)
	}
	loader, err := winfs.ParseGUID("1b67bffd-e290-11eb-8ffa-f459a0d9b879")
	if err == nil {
		err = errors.Join(s.Create(manager, bcd.TypeBootManager), s.Create(loader, bcd.TypeLoader),
			s.Set(manager, bcd.BootMgrDefaultObject, bcd.ObjectValue(loader)),
			s.Set(loader, bcd.SystemRoot, bcd.TextValue(`\windows`)))
	}
	if err != nil {
		t.Fatal(err)
	}
	if f != nil {
		f(s, loader)
	}
	b, err := h.Compact(&regf.CompactOptions{Minor: 3})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// vmItems is a base layer with a utility VM of a build.
func vmItems(t *testing.T, build uint32) []item {
	t.Helper()
	software, err := hives.Minimal(hives.Software, hives.ServerCore(build, 1))
	if err != nil {
		t.Fatal(err)
	}
	items := baseItems(t)
	for _, d := range []string{`UtilityVM`, `UtilityVM\Files`, `UtilityVM\Files\Windows`, `UtilityVM\Files\Windows\System32`,
		`UtilityVM\Files\Windows\System32\config`, `UtilityVM\Files\EFI`, `UtilityVM\Files\EFI\Microsoft`, `UtilityVM\Files\EFI\Microsoft\Boot`} {
		items = append(items, dir(d))
	}
	return append(items, file(vmSystem, minimal(t, hives.System)), file(vmSoftware, string(software)), file(vmBCD, bootStore(t, nil)))
}

// hiveIn opens a hive of an image.
func (p place) hiveIn(name, path string) *regf.Hive {
	p.t.Helper()
	b, err := p.content(name, path)
	if err != nil {
		p.t.Fatal(err)
	}
	if host, err := os.ReadFile(filepath.Join(p.dir, name, filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")))); err != nil || string(host) != b {
		p.t.Errorf("%s beside the image differs from that in it: %v", path, err)
	}
	h, err := regf.OpenBytes([]byte(b), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { h.Close() })
	return h
}

func TestCimBoot(t *testing.T) {
	p := newPlace(t)
	var left []string
	boot := cimlayer.WithCimBoot(cimlayer.CimBoot{Left: func(c []string) { left = c }})
	p.mustWrite("base", nil, vmItems(t, 25398), boot)
	if b, err := os.ReadFile(filepath.Join(p.dir, "base", "uvmbuildversion")); err != nil || string(b) != "25398" {
		t.Errorf("uvmbuildversion: %q, %v", b, err)
	}
	system := p.hiveIn("base", vmSystem)
	for _, s := range hives.CimBootSettings() {
		k, err := system.Key(s.Key)
		if err != nil {
			t.Fatal(err)
		}
		v, err := k.Value(s.Value)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := v.Data(); err != nil || string(b) != string(s.Data) {
			t.Errorf("%s %s: %x, %v", s.Key, s.Value, b, err)
		}
	}
	s, err := bcd.Open(p.hiveIn("base", vmBCD))
	if err != nil {
		t.Fatal(err)
	}
	text := func(id winfs.GUID, e bcd.ElementType) string {
		o, err := s.Object(id)
		if err != nil {
			t.Fatal(err)
		}
		v, err := o.Element(e)
		if err != nil {
			t.Fatal(err)
		}
		return v.String()
	}
	loader, err := s.Resolve("{default}")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{text(bcd.CimFSOptions, bcd.CimFSRootDirectory), `\cim-layers\base.cim`},
		{text(loader, bcd.ApplicationPath), `\UtilityVM\Files\Windows\System32\winload.efi`},
		{text(loader, bcd.SystemRoot), `\UtilityVM\Files\Windows`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if len(left) != 5 || !strings.Contains(left[0], "cimfsparentdevice vmbus={c63c9bdf-5fa5-4208-b03f-6b458b365592}") {
		t.Errorf("left %q", left)
	}
	if ready, err := p.at("base").CimBootReady(); !ready || err != nil {
		t.Errorf("ready %v, %v", ready, err)
	}
	// The same layer gives the same bytes.
	q := newPlace(t)
	q.mustWrite("base", nil, vmItems(t, 25398), boot)
	for name, sum := range q.snapshot() {
		if strings.HasPrefix(name, "base") && p.snapshot()[name] != sum {
			t.Errorf("%s differs", name)
		}
	}
}

// The devices that cannot be made come from a template.
func TestCimBootTemplate(t *testing.T) {
	device := func(kind byte) bcd.Value {
		d := bcd.BootDevice()
		d.Raw = append([]byte(nil), d.Raw...)
		d.Raw[0x10] = kind
		return bcd.Value{Format: bcd.FormatDevice, Device: d}
	}
	template := bootStore(t, func(s *bcd.Store, loader winfs.GUID) {
		err := errors.Join(s.Create(bcd.CimFSOptions, bcd.TypeDevice), s.Create(bcd.CompositeOptions, bcd.TypeDevice),
			s.Set(bcd.CimFSOptions, bcd.CimFSParentDevice, device(11)), s.Set(bcd.CompositeOptions, bcd.PrimaryDevice, device(12)),
			s.Set(bcd.CompositeOptions, bcd.SecondaryDevice, device(13)), s.Set(loader, bcd.ApplicationDevice, device(14)),
			s.Set(loader, bcd.OSDevice, device(15)))
		if err != nil {
			t.Fatal(err)
		}
	})
	p := newPlace(t)
	p.mustWrite("base", nil, vmItems(t, 25398), cimlayer.WithCimBoot(cimlayer.CimBoot{
		Template: []byte(template), Left: func(c []string) { t.Errorf("left %q", c) }}))
	s, err := bcd.Open(p.hiveIn("base", vmBCD))
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Object(bcd.CompositeOptions)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := o.Element(bcd.SecondaryDevice); err != nil || v.Device.Kind != 13 {
		t.Errorf("%v, %v", v, err)
	}
	q := newPlace(t)
	if err := q.write("base", nil, vmItems(t, 25398), cimlayer.WithCimBoot(cimlayer.CimBoot{Template: []byte(bootStore(t, nil))})); !errors.Is(err, bcd.ErrNoObject) {
		t.Errorf("a template without the devices: %v", err)
	}
}

func TestCimBootNotWanted(t *testing.T) {
	boot := cimlayer.WithCimBoot(cimlayer.CimBoot{})
	p := newPlace(t)
	for name, items := range map[string][]item{"old": vmItems(t, 20348), "without": baseItems(t)} {
		p.mustWrite(name, nil, items, boot)
		if _, err := os.Stat(filepath.Join(p.dir, name, "uvmbuildversion")); err == nil {
			t.Errorf("%s was changed", name)
		}
		if ready, err := p.at(name).CimBootReady(); !ready || err != nil {
			t.Errorf("%s: ready %v, %v", name, ready, err)
		}
	}
	p.mustWrite("plain", nil, vmItems(t, 25398))
	if ready, err := p.at("plain").CimBootReady(); ready || err != nil {
		t.Errorf("plain: ready %v, %v", ready, err)
	}
	items := vmItems(t, 25398)
	if err := p.write("nobcd", nil, items[:len(items)-1], boot); !errors.Is(err, cimlayer.ErrUtilityVM) {
		t.Errorf("without a boot configuration: %v", err)
	}
	items[len(items)-3] = file(vmSystem, minimal(t, hives.Software))
	if err := p.write("nosystem", nil, items, boot); !errors.Is(err, hives.ErrNoControlSet) {
		t.Errorf("without a control set: %v", err)
	}
}
