package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

func init() {
	areas["hivequery"] = area{run: benchHiveQuery, exec: map[string]func([]string) error{"hive-value": func(a []string) error { return printValue(a[0]) }}}
}

// benchHiveQuery measures how long the command takes to print one value and all values of a
// key, beside the programs of other libraries: small hives, on which start-up weighs most,
// and the one of -hive.
func benchHiveQuery(cache string) error {
	work, err := os.MkdirTemp(memoryDir(), "mullion-hivequery-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	minimal, err := hives.Minimal(hives.Software, hives.ServerCore(20348, 2700))
	if err != nil {
		return err
	}
	inputs := map[string]string{"minimal SOFTWARE": filepath.Join(work, "SOFTWARE")}
	order := []string{"minimal SOFTWARE"}
	if err := os.WriteFile(inputs[order[0]], minimal, 0o600); err != nil {
		return err
	}
	for _, in := range []struct{ title, path string }{
		{"NTUSER.DAT", filepath.Join(corpusDir(), "hives", "mkorman90_regipy", "NTUSER.DAT")},
		{filepath.Base(options.hive), options.hive},
	} {
		if in.path == "" {
			continue
		}
		if _, err := os.Stat(in.path); err != nil {
			if in.path == options.hive {
				return err
			}
			fmt.Printf("%s: left out: no %s\n", in.title, in.path)
			continue
		}
		to := filepath.Join(work, fmt.Sprintf("hive%d", len(order)))
		if err := copyHive(in.path, to); err != nil {
			return err
		}
		inputs[in.title], order = to, append(order, in.title)
	}
	var groups []table.Group
	for _, title := range order {
		file := inputs[title]
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		text, err := self("hive-value", file)
		if err != nil {
			return fmt.Errorf("%s: %s", title, why(err))
		}
		key, value, ok := strings.Cut(strings.TrimSuffix(text, "\n"), "\n")
		if !ok {
			return fmt.Errorf("%s: no value to ask for", title)
		}
		about := fmt.Sprintf("%s, %.2f MB", title, float64(info.Size())/1e6)
		reg := filepath.Join(work, "out.reg")
		groups = append(groups, table.Group{Title: about + ": one value", Runs: 21, Cases: []table.Case{
			{Name: "mullion hive query -v", Role: table.Ours, Command: table.Command(mullion, "hive", "query", "--allow-dirty", file, key, "-v", value)},
			peer(table.Case{Name: "hivexget", Command: table.Command("hivexget", file, `\`+key, value)}, "hivexget", nil),
		}}, table.Group{Title: about + ": all values of a key", Runs: 21, Cases: []table.Case{
			{Name: "mullion hive query", Role: table.Ours, Command: table.Command(mullion, "hive", "query", "--allow-dirty", file, key)},
			peer(table.Case{Name: "hivexget", Command: table.Command("hivexget", file, `\`+key)}, "hivexget", nil),
			peer(table.Case{Name: "reged -x, with the subkeys", OKStatus: []int{2}, Command: table.Command("reged", "-x", file, `HKEY_LOCAL_MACHINE\HIVE`, `\`+key, reg)}, "reged", nil),
		}})
	}
	_, err = table.RunAll(os.Stdout, "One question to a hive, in memory", "question", groups)
	return err
}

// errFound ends a walk.
var errFound = errors.New("found")

// printValue prints the path of a key and, on the next line, the name of a value of it: the
// first that every program takes as an argument, or the Windows build where there is one.
func printValue(name string) error {
	err := withHive(name, func(h *regf.Hive) error {
		const version, build = `Microsoft\Windows NT\CurrentVersion`, "CurrentBuildNumber"
		if k, err := h.Key(version); err == nil {
			if _, err := k.Value(build); err == nil {
				fmt.Printf("%s\n%s\n", version, build)
				return nil
			}
		}
		for k, err := range h.Root().Walk() {
			if err != nil {
				return err
			}
			path := k.Path()
			if !plainText(path) || path == "" {
				continue
			}
			for v, err := range k.Values() {
				if err != nil {
					return err
				}
				if n := v.Name(); plainText(n) && n != "" {
					fmt.Printf("%s\n%s\n", path, n)
					return errFound
				}
			}
		}
		return errors.New("no value with a name of letters")
	})
	if errors.Is(err, errFound) {
		return nil
	}
	return err
}

// plainText reports whether s is printable ASCII.
func plainText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
