package hiveoracle_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/regf"
)

// An oracleKey is a key as an oracle prints it.
type oracleKey struct {
	path   []string          // names below the root
	values map[string]string // by name in lower case: type and data in hexadecimal
}

// oracleKeys reads what an oracle prints of a hive.
func oracleKeys(t *testing.T, o *oracle, file string) []oracleKey {
	t.Helper()
	lines, err := o.run(file)
	if err != nil {
		t.Fatal(err)
	}
	text := func(field string) string {
		b, err := hex.DecodeString(strings.TrimPrefix(field, "-"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var keys []oracleKey
	var path []string
	for _, l := range lines {
		f := strings.Fields(l)
		if f[0] == "V" {
			keys[len(keys)-1].values[strings.ToLower(text(f[1]))] = f[2] + " " + f[3]
			continue
		}
		var level int
		if _, err := fmt.Sscan(f[1], &level); err != nil {
			t.Fatal(err)
		}
		if level > 0 {
			path = append(slices.Clone(path[:level-1]), text(f[2]))
		}
		keys = append(keys, oracleKey{path, map[string]string{}})
	}
	return keys
}

// below reports whether a key is one level below others, whatever their case.
func (k *oracleKey) below(names ...string) bool {
	return len(k.path) == len(names)+1 && strings.EqualFold(strings.Join(k.path[:len(names)], `\`), strings.Join(names, `\`))
}

func hivex(t *testing.T) *oracle {
	t.Helper()
	for _, o := range oracles() {
		if o.name == "hivexdump" {
			o.build(t)
			return o
		}
	}
	t.Fatal("no hivexdump")
	return nil
}

// The services of an inventory are the keys with a value Type that libhivex finds in the same
// control set, each of the type and start that libhivex reads.
func TestServicesAgainstHivex(t *testing.T) {
	o := hivex(t)
	for file, count := range map[string]int{"mkorman90_regipy/SYSTEM": 416, "mkorman90_regipy/SYSTEM_WIN_10_1709": 682, "skelsec_aiowinreg/nt/system.reg": 134} {
		path := testenv.Corpus(t, "hives", file)
		h, err := regf.Open(path, &regf.Options{AllowDirty: true})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		inv, err := inventory.Run(t.Context(), inventory.NewSystem(nil, map[hives.Name]*regf.Hive{hives.System: h}), inventory.Catalogers()...)
		if err != nil {
			t.Fatal(err)
		}
		starts := []string{"boot", "system", "automatic", "manual", "disabled"}
		got := map[string]string{}
		for _, c := range inv.Components {
			if c.Kind == inventory.Service || c.Kind == inventory.Driver {
				start := strings.TrimSuffix(c.Property("start"), "-delayed")
				got[c.Name] = fmt.Sprint(c.Kind == inventory.Driver, slices.Index(starts, start))
			}
		}
		set, want := "", map[string]string{}
		keys := oracleKeys(t, o, path)
		for _, k := range keys {
			if k.below() && strings.EqualFold(k.path[0], "Select") {
				set = "ControlSet0" + k.values["current"][2:4]
			}
		}
		for _, k := range keys {
			kind, ok := k.values["type"]
			if !ok || !strings.HasPrefix(kind, "4 ") || !k.below(set, "Services") {
				continue
			}
			b, err := hex.DecodeString(strings.TrimPrefix(kind, "4 ") + strings.TrimPrefix(k.values["start"], "4 "))
			if err != nil || len(b) != 8 {
				t.Fatalf("%s: type and start %x, %v", k.path, b, err)
			}
			want[k.path[2]] = fmt.Sprint(b[0]&0x0B != 0, int(b[4]))
		}
		if len(want) != count || len(got) != count {
			t.Errorf("%s: %d services, libhivex has %d, want %d", file, len(got), len(want), count)
		}
		for name, facts := range want {
			if got[name] != facts {
				t.Errorf("%s: service %s is driver and start %q, libhivex has %q", file, name, got[name], facts)
			}
		}
	}
}

// The programs of a genuine user are those that libhivex finds.
func TestProgramsAgainstHivex(t *testing.T) {
	o := hivex(t)
	path := testenv.Corpus(t, "hives", "mkorman90_regipy/NTUSER_BAGMRU.DAT")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	software := regf.New(nil)
	defer software.Close()
	profile, err := software.CreatePath(`Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1`)
	if err == nil {
		err = profile.SetValue("ProfileImagePath", regf.RegSZ, regf.StringData(`C:\Users\u`))
	}
	if err != nil {
		t.Fatal(err)
	}
	sys := inventory.NewSystem(fstest.MapFS{"Files/Users/u/NTUSER.DAT": {Data: b}}, map[hives.Name]*regf.Hive{hives.Software: software})
	inv, err := inventory.Run(t.Context(), sys, inventory.Catalogers()...)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, c := range inv.Components {
		if c.Kind == inventory.Program && c.Property("user") == "S-1-5-21-1" {
			key := c.Evidence[0].Key
			got = append(got, key[strings.LastIndexByte(key, '\\')+1:]+" "+hexField(regf.StringData(c.Name)))
		}
	}
	for _, k := range oracleKeys(t, o, path) {
		if k.below("Software", "Microsoft", "Windows", "CurrentVersion", "Uninstall") && k.values["displayname"] != "" {
			want = append(want, k.path[5]+" "+strings.TrimPrefix(k.values["displayname"], "1 "))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(got) != 6 {
		t.Errorf("programs\n%q, libhivex has\n%q", got, want)
	}
}
