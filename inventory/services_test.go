package inventory

import (
	"slices"
	"testing"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/regf"
)

// systemHive makes a SYSTEM hive.
func systemHive(t *testing.T, lines string) *regf.Hive {
	t.Helper()
	base, err := hives.Minimal(hives.System, hives.ServerCore(20348, 2700))
	if err != nil {
		t.Fatal(err)
	}
	h, err := regf.OpenBytes(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	fill(t, h, lines)
	return h
}

// found runs one cataloger on hives.
func found(t *testing.T, c Cataloger, registry map[hives.Name]*regf.Hive) *Inventory {
	t.Helper()
	inv, err := Run(t.Context(), NewSystem(nil, registry), c)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// The services are those of the current control set.
func TestServices(t *testing.T) {
	inv := found(t, services{}, map[hives.Name]*regf.Hive{hives.System: systemHive(t, `
Select
Current=dword:2
ControlSet001\Services\Old
Type=dword:16
Start=dword:2
ControlSet002\Services\Dhcp
Type=dword:32
Start=dword:2
DelayedAutostart=dword:1
ImagePath=expand:%SystemRoot%\system32\svchost.exe -k LocalService
ObjectName=NT Authority\LocalService
DisplayName=@%SystemRoot%\system32\dhcpcore.dll,-100
ControlSet002\Services\Dhcp\Parameters
ServiceDll=expand:%SystemRoot%\system32\dhcpcore.dll
ControlSet002\Services\ACPI
Type=dword:1
Start=dword:0
ControlSet002\Services\Odd
Type=dword:4096
Start=dword:9
ImagePath=dword:7
ControlSet002\Services\Text
Type=one
ControlSet002\Services\Perf\Performance
`)})
	props := func(pairs ...string) (list []Property) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, Property{pairs[i], pairs[i+1]})
		}
		return list
	}
	want := map[string][]Property{
		"ACPI": props("start", "boot", "type", "kernel-driver"),
		"Odd":  nil,
		"Dhcp": props("account", `NT Authority\LocalService`, "displayName", `@%SystemRoot%\system32\dhcpcore.dll,-100`,
			"imagePath", `%SystemRoot%\system32\svchost.exe -k LocalService`, "serviceDll", `%SystemRoot%\system32\dhcpcore.dll`,
			"start", "automatic-delayed", "type", "share-process"),
	}
	if len(inv.Components) != len(want) || len(inv.Skipped) != 0 {
		t.Errorf("%+v", inv)
	}
	for _, c := range inv.Components {
		if p, ok := want[c.Name]; !ok || !slices.Equal(c.Properties, p) {
			t.Errorf("%s: %+v, want %+v", c.Name, c.Properties, p)
		}
		if (c.Kind == Driver) != (c.Name == "ACPI") || c.Evidence[0].String() != `SYSTEM\ControlSet002\Services\`+c.Name || c.Evidence[0].Layer != 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestServiceType(t *testing.T) {
	for n, want := range map[uint32]string{
		1: "kernel-driver", 2: "file-system-driver", 4: "adapter", 8: "recognizer-driver", 0x10: "own-process", 0x20: "share-process",
		0x50: "user-own-process", 0x60: "user-share-process", 0xD0: "user-instance-own-process", 0xE0: "user-instance-share-process",
		0x110: "interactive-own-process", 0x120: "interactive-share-process", 0: "", 0x100: "", 0x40: "",
	} {
		if got := serviceType(n); got != want {
			t.Errorf("%#x: %q, want %q", n, got, want)
		}
	}
}

// openCorpus opens a genuine hive as it stands.
func openCorpus(t *testing.T, elem ...string) *regf.Hive {
	t.Helper()
	h, err := regf.Open(testenv.Corpus(t, append([]string{"hives"}, elem...)...), &regf.Options{AllowDirty: true, AllowHarmless: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// The counts are those of the keys with a value Type that libhivex finds; internal/hiveoracle
// compares the names.
func TestServicesGenuine(t *testing.T) {
	for file, want := range map[[2]string]int{
		{"mkorman90_regipy", "SYSTEM"}: 416, {"mkorman90_regipy", "SYSTEM_WIN_10_1709"}: 682, {"skelsec_aiowinreg", "nt/system.reg"}: 134,
	} {
		inv := found(t, services{}, map[hives.Name]*regf.Hive{hives.System: openCorpus(t, file[0], file[1])})
		started := 0
		for _, c := range inv.Components {
			if c.Property("start") != "" && c.Property("type") != "" {
				started++
			}
		}
		if len(inv.Components) != want || started != want || len(inv.Skipped) != 0 {
			t.Errorf("%s: %d services, %d with type and start, want %d; skipped %v", file[1], len(inv.Components), started, want, inv.Skipped)
		}
	}
}
