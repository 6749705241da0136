package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/internal/cli"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
	"github.com/mullion/mullion/wintar"
)

func init() {
	areas["diff"] = area{run: benchDiff, exec: map[string]func([]string) error{"diff": runDiff}}
}

// runDiff is "mullion diff", for which a difference is no failure.
func runDiff(args []string) error {
	if status := cli.Main(append([]string{"diff"}, args...), os.Stdin, os.Stdout, os.Stderr); status > 1 {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// diffEntries is the number of entries of a Server Core base layer.
const diffEntries = 110_000

// makeDiffSide returns a function that writes a layer of small files, of which one of ten
// depends on the side.
func makeDiffSide(side int) func(io.Writer) error {
	return func(w io.Writer) error {
		t := wintar.NewWriter(w)
		defer t.Close()
		files, dirs := winsec.BuilderFile(), winsec.BuilderDirectory()
		for i := range diffEntries {
			dir := fmt.Sprintf(`Files\Windows\WinSxS\amd64_component-%06d_31bf3856ad364e35_10.0.20348.1_none`, i/11)
			times := winfs.Times{Creation: 132e15, LastAccess: 132e15, LastWrite: 132e15, Change: 132e15}
			e := layer.Entry{Path: dir, Kind: layer.Dir, Attributes: winfs.AttrDirectory, Security: dirs, Times: times}
			if i%11 == 0 {
				if err := t.Add(&e); err != nil {
					return err
				}
				continue
			}
			content := fmt.Sprintf("%0512d", i)
			if i%10 == 1 {
				content = fmt.Sprintf("%0512d", i+side)
			}
			e = layer.Entry{Path: fmt.Sprintf(`%s\file-%02d.dll`, dir, i%11), Kind: layer.File, Attributes: winfs.AttrArchive,
				Security: files, Times: times, Size: int64(len(content))}
			if err := t.Add(&e); err != nil {
				return err
			}
			if err := t.AddStream(&layer.Stream{Size: e.Size}); err != nil {
				return err
			}
			if _, err := io.WriteString(t, content); err != nil {
				return err
			}
		}
		return t.Commit()
	}
}

// benchDiff compares two layers as an image has them. The floor is reading both.
func benchDiff(cache string) error {
	var sides [2]string
	for i := range sides {
		sides[i] = filepath.Join(cache, fmt.Sprintf("diff-%d.tar", i))
		if err := once(sides[i], makeDiffSide(i)); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	page := filepath.Join(cache, "diff.html")
	a, b := "tar:"+sides[0], "tar:"+sides[1]
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("diff of two layers of %d entries; memory is to stay below %.1f MiB", diffEntries, 64+400*2*float64(diffEntries)/(1<<20)),
		Items: 2 * diffEntries,
		Cases: []table.Case{
			{Name: "mullion diff --stat", Role: table.Ours, Command: table.Self("diff", "--stat", a, b)},
			{Name: "mullion diff --html, 10,000 changes", Role: table.Ours, Command: table.Self("diff", "--force", "--html", page, a, b)},
			{Name: "reading both: mullion ls -R", Role: table.Floor, Command: table.Command("sh", "-c", `"$0" exec mullion ls -q -R "$1" >/dev/null && "$0" exec mullion ls -q -R "$2" >/dev/null`, program, a, b)},
		},
	})
	return err
}
