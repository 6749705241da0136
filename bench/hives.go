package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/regf/regtext"
	"www.velocidex.com/golang/regparser"
)

func init() {
	areas["hives"] = area{run: benchHives, exec: map[string]func([]string) error{
		"hive-copies":    func(a []string) error { return copies(a[0], a[1], a[2]) },
		"hive-count":     func(a []string) error { return countHive(a[0]) },
		"hive-open":      func(a []string) error { return withHive(a[0], func(h *regf.Hive) error { return nil }) },
		"hive-enumerate": func(a []string) error { return withHive(a[0], func(h *regf.Hive) error { return enumerate(h) }) },
		"hive-edit":      editHive,
		"hive-save": func(a []string) error {
			return withHive(a[0], func(h *regf.Hive) error { return h.WriteCompactFile(a[1], &regf.CompactOptions{Overwrite: true}) })
		},
		"hive-export":     exportHive,
		"hive-import":     importHive,
		"hive-merge":      mergeHives,
		"velocidex":       func(a []string) error { return readVelocidex(a[0]) },
		"velocidex-files": func(a []string) error { return readVelocidexFile(a[0]) },
	}}
}

// hiveInput is a hive to measure with. Dirty ones are taken as they are, by all.
type hiveInput struct {
	title string
	path  string
	keys  int64
	size  int64
	runs  int
}

// benchHives compares with libhivex, the fastest in C, with the Go libraries and,
// for text, with reged. All files are in memory (/dev/shm), so that the disk has no
// say. The big hives, of 60 and 240 MB, are made by this library of four and
// seventeen copies of the largest genuine one.
func benchHives(cache string) error {
	work, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	inputs, err := hiveInputs(cache, work)
	if err != nil {
		return err
	}
	dump, noDump := compileC(cache, filepath.Join("..", "internal", "hiveoracle", "testdata", "hivexdump.c"), "hivex")
	edit, noEdit := compileC(cache, filepath.Join("testdata", "hivexedit.c"), "hivex")
	out := filepath.Join(work, "out")
	clean := func() error {
		for _, name := range []string{out, out + ".hive"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	var errs []error
	run := func(g table.Group) {
		_, err := table.Run(os.Stdout, g)
		errs = append(errs, err)
	}
	for _, in := range inputs {
		ours := func(name string, words ...string) table.Case {
			return table.Case{Name: name, Role: table.Ours, Before: clean, Command: table.Self(words...)}
		}
		hivectl := func(name string, words ...string) table.Case {
			// It shortens the files that it reads, so that it gets a copy.
			c := table.Case{Name: name, Role: table.Peer, Command: table.Command("hivectl", words...),
				Before: func() error { return errors.Join(clean(), copyHive(in.path, out+".hive")) }}
			if _, err := exec.LookPath("hivectl"); err != nil {
				c.Skip = "hivectl (github.com/joshuapare/hivekit) is not in PATH"
			}
			return c
		}
		about := func(what string) string { return fmt.Sprintf("%s: %s (%.1f MB)", what, in.title, float64(in.size)/1e6) }
		run(table.Group{Title: about("open"), Runs: in.runs, Cases: []table.Case{
			ours("mullion", "hive-open", in.path),
			peer(table.Case{Name: "libhivex", Command: table.Command(dump, in.path, "open")}, dump, noDump),
			{Name: "a process that does nothing", Role: table.Floor, Command: table.Self("hive-nothing")},
		}})
		velocidex := ours("velocidex regparser, in memory", "velocidex", in.path)
		velocidex.Role = table.Peer
		run(table.Group{Title: about("read every key, value and datum"), Items: in.keys, Bytes: in.size, Runs: in.runs, Cases: []table.Case{
			ours("mullion, strict", "hive-enumerate", in.path),
			peer(table.Case{Name: "libhivex", Command: table.Command(dump, in.path, "read")}, dump, noDump),
			velocidex,
		}})
		run(table.Group{Title: about("set one value and save"), Bytes: in.size, Runs: in.runs, Cases: []table.Case{
			ours("mullion, atomic with fsync", "hive-edit", in.path, out),
			peer(table.Case{Name: "libhivex", Before: clean, Command: table.Command(edit, in.path, out)}, edit, noEdit),
			hivectl("hivectl set, in place", "set", out+".hive", "MullionBench", "Value", "42", "--type", "dword", "--create-key", "--backup=false"),
		}})
		run(table.Group{Title: about("compacting save"), Bytes: in.size, Runs: in.runs, Cases: []table.Case{
			ours("mullion", "hive-save", in.path, out),
			{Name: "cp", Role: table.Floor, Before: clean, Command: table.Command("cp", in.path, out)},
		}})
		reged := table.Case{Name: "reged -x", Role: table.Peer, Before: clean, OKStatus: []int{2},
			Command: table.Command("reged", "-x", in.path, `HKEY_LOCAL_MACHINE\HIVE`, `\`, out)}
		if _, err := exec.LookPath("reged"); err != nil {
			reged.Skip = "not installed"
		}
		run(table.Group{Title: about("export .reg"), Bytes: in.size, Runs: in.runs, Cases: []table.Case{
			ours("mullion, UTF-16", "hive-export", in.path, out),
			reged,
			hivectl("hivectl export", "export", out+".hive", out),
		}})
		text := filepath.Join(work, "text.reg")
		if _, err := self("hive-export", in.path, text); err != nil {
			return err
		}
		run(table.Group{Title: about("import that .reg into an empty hive and save"), Bytes: in.size, Runs: min(in.runs, 5), Cases: []table.Case{
			ours("mullion", "hive-import", text, out),
		}})
		if err := os.Remove(text); err != nil {
			return err
		}
		delta := filepath.Join(corpusDir(), "hives", "msuhanov_yarp", "System_Delta")
		if _, err := os.Stat(delta); err != nil {
			fmt.Printf("\n%s: left out: no %s\n", about("merge System_Delta over it"), delta)
			continue
		}
		floor := func(c table.Case) table.Case { c.Role = table.Floor; return c }
		run(table.Group{Title: about("merge System_Delta over it"), Bytes: in.size, Runs: in.runs, Cases: []table.Case{
			ours("mullion", "hive-merge", in.path, delta, out),
			floor(ours("reading the base", "hive-enumerate", in.path)),
			floor(ours("saving the base", "hive-save", in.path, out)),
		}})
	}
	return errors.Join(errs...)
}

func init() { areas["hives"].exec["hive-nothing"] = func([]string) error { return nil } }

// corpusDir is where the genuine hives are, as the tests find them.
func corpusDir() string {
	if dir := os.Getenv("MULLION_CORPUS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared", "corpus")
}

func hiveInputs(cache, work string) ([]hiveInput, error) {
	inputs := []hiveInput{
		{title: "NTUSER.DAT", path: "mkorman90_regipy/NTUSER.DAT", runs: 31},
		{title: "NTUSER_BAGMRU.DAT", path: "mkorman90_regipy/NTUSER_BAGMRU.DAT", runs: 31},
		{title: "SYSTEM", path: "mkorman90_regipy/SYSTEM", runs: 21},
		{title: "SYSTEM_B", path: "mkorman90_regipy/SYSTEM_B", runs: 21},
		{title: "SYSTEM_WIN_10_1709", path: "mkorman90_regipy/SYSTEM_WIN_10_1709", runs: 21},
	}
	largest := ""
	var there []hiveInput
	for _, in := range inputs {
		in.path = filepath.Join(corpusDir(), "hives", filepath.FromSlash(in.path))
		if _, err := os.Stat(in.path); err != nil {
			fmt.Printf("%s: left out: no %s\n", in.title, in.path)
			continue
		}
		there, largest = append(there, in), in.path
	}
	inputs = there
	for _, big := range []struct {
		title  string
		copies string
		runs   int
	}{{"four copies", "4", 9}, {"seventeen copies", "17", 5}} {
		made := filepath.Join(cache, fmt.Sprintf("hive-%s-copies", big.copies))
		if _, err := os.Stat(made); errors.Is(err, os.ErrNotExist) {
			if largest == "" {
				fmt.Printf("%s: left out: made of a hive of the corpus\n", big.title)
				continue
			}
			if _, err := self("hive-copies", largest, made, big.copies); err != nil {
				return nil, err
			}
		}
		inputs = append(inputs, hiveInput{title: big.title, path: made, runs: big.runs})
	}
	if len(inputs) == 0 {
		return nil, &missing{"no hives; MULLION_CORPUS is the directory with " + filepath.Join("hives", "mkorman90_regipy")}
	}
	for i := range inputs {
		to := filepath.Join(work, strings.ReplaceAll(inputs[i].title, " ", "-"))
		if err := copyHive(inputs[i].path, to); err != nil {
			return nil, err
		}
		inputs[i].path = to
		info, err := os.Stat(to)
		if err != nil {
			return nil, err
		}
		inputs[i].size = info.Size()
		keys, err := self("hive-count", to)
		if err != nil {
			return nil, err
		}
		if inputs[i].keys, err = strconv.ParseInt(strings.TrimSpace(keys), 10, 64); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// self runs this program for work that needs memory, because the peak that the
// system reports for a process starts at that of its parent.
func self(words ...string) (string, error) {
	cmd, err := table.Self(words...)()
	if err != nil {
		return "", err
	}
	out, err := cmd.Output()
	return string(out), err
}

func countHive(name string) error {
	return withHive(name, func(h *regf.Hive) error {
		n := 0
		for _, err := range h.Root().Walk() {
			if err != nil {
				return err
			}
			n++
		}
		fmt.Println(n)
		return nil
	})
}

// copies makes a hive that holds a hive several times.
func copies(from, to, times string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	return withHive(from, func(src *regf.Hive) error {
		h := regf.New(nil)
		for i := range n {
			if _, err := src.Root().CopyTo(h.Root(), fmt.Sprintf("Copy%02d", i)); err != nil {
				return err
			}
		}
		return h.WriteCompactFile(to, nil)
	})
}

func copyHive(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// compileC builds a C program that is linked to one library.
func compileC(cache, source, library string) (string, error) {
	to := filepath.Join(cache, filepath.Base(source[:len(source)-len(".c")]))
	out, err := exec.Command("cc", "-O2", "-o", to, source, "-l"+library).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", source, err, out)
	}
	return to, nil
}

func withHive(name string, fn func(*regf.Hive) error) error {
	h, err := regf.Open(name, &regf.Options{AllowDirty: true, EditDirty: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(h), h.Close())
}

// sink keeps the reads from being optimised away.
var sink uint64

// enumerate touches every key, name, value, datum.
func enumerate(h *regf.Hive) error {
	for k, err := range h.Root().Walk() {
		if err != nil {
			return err
		}
		name, _ := k.RawName()
		sink += uint64(len(name)) + uint64(k.LastWrite())
		for v, err := range k.Values() {
			if err != nil {
				return err
			}
			name, _ := v.RawName()
			data, err := v.Data()
			if err != nil {
				return err
			}
			sink += uint64(len(name)) + uint64(v.Type())
			if n := len(data); n > 0 {
				sink += uint64(data[0]) + uint64(data[n-1])
			}
		}
	}
	return nil
}

func editHive(a []string) error {
	return withHive(a[0], func(h *regf.Hive) error {
		k, _, err := h.Root().Create("MullionBench")
		if err != nil {
			return err
		}
		if err := k.SetValue("Value", regf.RegDword, []byte{42, 0, 0, 0}); err != nil {
			return err
		}
		return h.WriteImageFile(a[1], &regf.WriteOptions{Overwrite: true})
	})
}

func exportHive(a []string) error {
	return withHive(a[0], func(h *regf.Hive) error {
		f, err := os.Create(a[1])
		if err != nil {
			return err
		}
		return errors.Join(regtext.Export(f, h.Root(), regtext.Options{}), f.Close())
	})
}

func importHive(a []string) error {
	debug.SetGCPercent(10) // as mullion hive import does
	f, err := os.Open(a[0])
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := regf.New(nil)
	if _, err := regtext.Import(h, f, regtext.ImportOptions{Raw: true, Size: info.Size()}); err != nil {
		return err
	}
	return h.WriteImageFile(a[1], nil)
}

func mergeHives(a []string) error {
	return withHive(a[0], func(base *regf.Hive) error {
		return withHive(a[1], func(delta *regf.Hive) error {
			h, err := regf.Merge(context.Background(), []*regf.Hive{base, delta}, nil)
			if err != nil {
				return err
			}
			return h.WriteImageFile(a[2], nil)
		})
	})
}

func readVelocidex(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return walkVelocidex(bytes.NewReader(b))
}

func readVelocidexFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return walkVelocidex(f)
}

func walkVelocidex(r io.ReaderAt) error {
	reg, err := regparser.NewRegistry(r)
	if err != nil {
		return err
	}
	root := reg.OpenKey("")
	if root == nil {
		return errors.New("no root key")
	}
	var walk func(k *regparser.CM_KEY_NODE)
	walk = func(k *regparser.CM_KEY_NODE) {
		sink += uint64(len(k.Name()))
		for _, v := range k.Values() {
			sink += uint64(len(v.ValueName()))
			if d := v.ValueData(); d != nil {
				sink += uint64(len(d.Data))
			}
		}
		for _, sub := range k.Subkeys() {
			walk(sub)
		}
	}
	walk(root)
	return nil
}
