package cli

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/hives/bcd"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/internal/testenv"
	"github.com/mullion/mullion/winfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if os.Getenv(cacheEnv) == "" { // of a script's command it is set
		os.Setenv(cacheEnv, cacheOff) // no test uses the cache of the user
	}
	// A program with the race detector waits for a second before it exits. The scripts run a
	// thousand.
	if os.Getenv(raceEnv) == "" {
		os.Setenv(raceEnv, "atexit_sleep_ms=10")
	}
	testscript.Main(m, map[string]func(){
		"mullion": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// raceEnv has the options of the race detector.
const raceEnv = "GORACE"

// The scripts in testdata/script are the documentation of the commands by example.
// $HELLO is the example image. In addition to the commands of testscript there are
//
//	mktar SPEC OUT.tar       make a tar of lines: dir NAME, file NAME [TEXT],
//	                         symlink NAME TARGET, hardlink NAME TARGET
//	damage FILE              flip a bit in the first gzip stream in a file
//	flip FILE OFFSET         flip the lowest bit of a byte
//	status N mullion ...     run and compare the exit status
//	empty DIR                nothing is in DIR
//	stores DIR               set $CIM0, $CIM1, … to the images of the one image in a store
//	bare DIR [SOFTWARE]      make a layout of an image whose base layer has no hives, or
//	                         that one, and which claims to be 10.0.17763.1
//	bigbase SOFTWARE OUT.tar make a base layer with that hive and much behind it
//	bcdstore OUT             make a boot configuration store with a boot manager and a loader
//	readless FILE            the last command said that it read less than half of FILE
//	vmimage DIR BCD          make a layout of a base image with a utility VM of build 25398
//	indexes                  make layouts of odd indexes; see there
//	layered DIR SOFTWARE DELTA make a layout of an image with that hive and a delta over it
//	bulk HIVE                make a hive of some pages
//	manyfaults N OUT.tar     make a layer with N faults of one rule
//	story DIR TAR...         make a layout of an image with these layers and a history
//	hivedamage HOW HIVE ...  break a hive, see there
//	layers DIR               set $LAYER0, $LAYER1, … to the folders of an unpacked image
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HELLO", "oci-archive:"+filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar"))
			e.Setenv("DOCKER_CONFIG", e.WorkDir)
			e.Setenv(raceEnv, os.Getenv(raceEnv))
			e.Setenv("MULLION_CACHE", filepath.Join(e.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mktar": mktar, "damage": damage, "flip": flip, "status": status, "empty": empty, "layers": layers,
			"stores": stores, "bare": bare, "bigbase": bigbase, "readless": readless, "bcdstore": bcdstore, "indexes": indexes, "vmimage": vmimage,
			"hivedamage": hivedamage, "bulk": bulk, "layered": layered, "manyfaults": manyfaults, "story": story,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func mktar(ts *testscript.TestScript, _ bool, args []string) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, more, _ := strings.Cut(rest, " ")
		h := &tar.Header{Name: name, Format: tar.FormatPAX, Mode: 0o644}
		switch kind {
		case "dir":
			h.Typeflag = tar.TypeDir
		case "file":
			h.Typeflag, h.Size = tar.TypeReg, int64(len(more))
		case "program": // for a machine, in hexadecimal
			machine, err := strconv.ParseUint(more, 16, 16)
			ts.Check(err)
			more = "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00" + string([]byte{byte(machine), byte(machine >> 8)})
			h.Typeflag, h.Size = tar.TypeReg, int64(len(more))
		case "symlink":
			h.Typeflag, h.Linkname = tar.TypeSymlink, more
		case "hardlink":
			h.Typeflag, h.Linkname = tar.TypeLink, more
		case "":
			continue
		default:
			ts.Fatalf("mktar: %q", line)
		}
		ts.Check(w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte(more))
			ts.Check(err)
		}
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o644))
}

func flip(ts *testscript.TestScript, _ bool, args []string) { flipBit(ts, args) }

func flipBit(ts stage, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at := bytes.Index(b, []byte("\x1f\x8b\x08"))
	if at < 0 {
		ts.Fatalf("%s: no gzip stream", args[0])
	}
	b[at+100] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		got = strconv.Itoa(exit.ExitCode())
	} else {
		ts.Check(err)
	}
	if got != args[0] {
		ts.Fatalf("status %s, want %s", got, args[0])
	}
}

func empty(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		ts.Fatalf("%s is in %s", e.Name(), args[0])
	}
}

func layers(ts *testscript.TestScript, _ bool, args []string) {
	dirs, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "[0-9][0-9]-*"))
	ts.Check(err)
	for i, d := range dirs {
		ts.Setenv(fmt.Sprintf("LAYER%d", i), d)
	}
}

func stores(ts *testscript.TestScript, _ bool, args []string) {
	records, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "images", "*[0-9a-f].json"))
	ts.Check(err)
	for _, name := range records {
		if strings.HasSuffix(name, ".config.json") {
			continue
		}
		raw, err := os.ReadFile(name)
		ts.Check(err)
		var r image.StoredImage
		ts.Check(json.Unmarshal(raw, &r))
		for i, l := range r.Layers {
			ts.Setenv(fmt.Sprintf("CIM%d", i), filepath.Join(ts.MkAbs(args[0]), filepath.FromSlash(l.Image)))
		}
	}
}

// tarFiles makes a tar of files and the directories above them.
func tarFiles(ts *testscript.TestScript, files ...[2]string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"Files", "Files/Windows", "Files/Windows/System32", "Files/Windows/System32/config"} {
		ts.Check(w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}))
	}
	for _, f := range files {
		ts.Check(w.WriteHeader(&tar.Header{Name: f[0], Typeflag: tar.TypeReg, Size: int64(len(f[1])), Mode: 0o644}))
		_, err := io.WriteString(w, f[1])
		ts.Check(err)
	}
	ts.Check(w.Close())
	return b.Bytes()
}

const softwarePath = "Files/Windows/System32/config/SOFTWARE"

func bare(ts *testscript.TestScript, _ bool, args []string) {
	files := [][2]string{{"Files/bare.txt", "bare"}}
	if len(args) > 1 {
		h, err := hives.Minimal(hives.Software, hives.ServerCore(20348, 2700))
		ts.Check(err)
		files = append(files, [2]string{softwarePath, string(h)})
	}
	ts.Check(imagetest.WriteLayout(ts.MkAbs(args[0]), imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.17763.1", Architecture: "amd64"},
			Config: ocispec.ImageConfig{Env: []string{`PATH=C:\bare`}}},
		Layers: []imagetest.Layer{{Tar: tarFiles(ts, files...), Format: blob.Gzip}},
	}))
}

func layered(ts *testscript.TestScript, _ bool, args []string) {
	base := tarFiles(ts, [2]string{softwarePath, ts.ReadFile(args[1])})
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	delta := ts.ReadFile(args[2])
	for _, h := range []*tar.Header{
		{Name: "Files", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "Hives", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "Hives/Software_Delta", Typeflag: tar.TypeReg, Size: int64(len(delta)), Mode: 0o644},
	} {
		ts.Check(w.WriteHeader(h))
	}
	_, err := io.WriteString(w, delta)
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(imagetest.WriteLayout(ts.MkAbs(args[0]), imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}},
		Layers: []imagetest.Layer{{Tar: base, Format: blob.Gzip}, {Tar: b.Bytes(), Format: blob.Gzip}},
	}))
}

func bigbase(ts *testscript.TestScript, _ bool, args []string) {
	b := tarFiles(ts, [2]string{softwarePath, ts.ReadFile(args[0])}, [2]string{"Files/big", strings.Repeat("0123456789abcdef", 1<<20)})
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

func bcdstore(ts *testscript.TestScript, _ bool, args []string) { writeBCD(ts, args[0]) }

func writeBCD(ts stage, name string) {
	h, s, err := bcd.New(nil)
	ts.Check(err)
	defer h.Close()
	manager, err := bcd.ParseAlias("{bootmgr}")
	ts.Check(err)
	loader, err := bcd.ParseAlias("{1b67bffd-e290-11eb-8ffa-f459a0d9b879}")
	ts.Check(err)
	ts.Check(s.Create(manager, bcd.TypeBootManager))
	ts.Check(s.Create(loader, bcd.TypeLoader))
	for _, e := range []struct {
		id winfs.GUID
		t  bcd.ElementType
		v  bcd.Value
	}{
		{manager, bcd.BootMgrDefaultObject, bcd.ObjectValue(loader)},
		{manager, bcd.BootMgrTimeout, bcd.IntegerValue(30)},
		{loader, bcd.ApplicationPath, bcd.TextValue(`\windows\system32\winload.exe`)},
		{loader, bcd.PreferredLocale, bcd.TextValue("en-US")},
		{loader, bcd.OSDevice, bcd.Value{Format: bcd.FormatDevice, Device: bcd.BootDevice()}},
	} {
		ts.Check(s.Set(e.id, e.t, e.v))
	}
	ts.Check(h.WriteCompactFile(ts.MkAbs(name), nil))
}

func readless(ts *testscript.TestScript, _ bool, args []string) {
	var n int64
	if _, err := fmt.Sscanf(ts.ReadFile("stderr"), "%d bytes read", &n); err != nil {
		ts.Fatalf("stderr: %v", err)
	}
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if n >= st.Size()/2 {
		ts.Fatalf("%d of %d bytes read", n, st.Size())
	}
}

func vmimage(ts *testscript.TestScript, _ bool, args []string) {
	var files [][2]string
	v := hives.ServerCore(25398, 1)
	for _, n := range hives.All() {
		h, err := hives.Minimal(n, v)
		ts.Check(err)
		path := winfs.ToSlash(n.Path(hives.Config))
		files = append(files, [2]string{path, string(h)})
		if n == hives.System || n == hives.Software {
			files = append(files, [2]string{strings.Replace(path, "Files/", "UtilityVM/Files/", 1), string(h)})
		}
	}
	files = append(files, [2]string{"UtilityVM/Files/EFI/Microsoft/Boot/BCD", ts.ReadFile(args[1])})
	ts.Check(imagetest.WriteLayout(ts.MkAbs(args[0]), imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: v.String(), Architecture: "amd64"}},
		Layers: []imagetest.Layer{{Tar: tarFiles(ts, files...), Format: blob.Gzip}},
	}))
}
