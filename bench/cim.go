package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mullion/mullion/bench/table"
)

func init() {
	areas["cim-memory"] = area{run: benchCIMMemory}
	areas["cim"] = area{run: benchCIM, exec: map[string]func([]string) error{
		"tarwalk": func(a []string) error { return walkTar(a[0], false) },
		"tarhash": func(a []string) error { return walkTar(a[0], true) },
	}}
}

// benchCIMMemory measures the memory that the writer needs for an image of two million
// empty files: "peak B/item" is the peak resident size of the process, of which the
// program itself takes 7 bytes an item. The limit is 250. The command sets a GC percent of
// 10 unless GOGC is set; 100 is Go's.
func benchCIMMemory(cache string) error {
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	out, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	const files = 2_000_000
	cases := make([]table.Case, 0, 2)
	for _, percent := range []string{"10", "100"} {
		cases = append(cases, table.Case{
			Name: "mullion cim create, GOGC=" + percent, Role: table.Ours,
			Before: func() error { return errors.Join(os.RemoveAll(out), os.Mkdir(out, 0o755)) },
			Command: func() (*exec.Cmd, error) {
				cmd := exec.Command(mullion, "cim", "create", "--quiet", "tar:-", filepath.Join(out, "empty.cim"))
				cmd.Env = append(os.Environ(), "GOGC="+percent)
				stdin, w := io.Pipe()
				cmd.Stdin = stdin
				go func() { w.CloseWithError(writeEmptyFiles(w, files)) }()
				return cmd, nil
			},
		})
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("tar of %d empty files, through a pipe, to an image on tmpfs", files), Items: files, Runs: 1,
		Cases: cases,
	})
	return err
}

// benchCIM compares the writer with programs that turn the same tar or tree into
// an image of another kind, and measures the reader.
func benchCIM(cache string) error {
	tree, err := makeTree(cache)
	if err != nil {
		return err
	}
	empty, err := makeEmptyFiles(cache)
	if err != nil {
		return err
	}
	tar2ext4 := filepath.Join(cache, "tar2ext4")
	var noTar2ext4 error
	if _, err := os.Stat(tar2ext4); err != nil {
		noTar2ext4 = build(".", tar2ext4, "github.com/Microsoft/hcsshim/cmd/tar2ext4")
	}
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	out, err := os.MkdirTemp(memoryDir(), "mullion-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	clean := func() error { return errors.Join(os.RemoveAll(out), os.Mkdir(out, 0o755)) }
	cim := filepath.Join(out, "tree.cim")
	imaged := func(name string, role table.Role, words ...string) table.Case {
		c := table.Case{Name: name, Role: role, Before: clean, Command: table.Command(words[0], words[1:]...)}
		if _, err := exec.LookPath(words[0]); err != nil {
			c.Skip = "not installed"
		}
		return c
	}
	file := filepath.Join(out, "image")
	erofsName, erofsCommand := erofsWords(tree.Tar, tree.Dir, file)
	floors := func(tar string) []table.Case {
		return []table.Case{
			imaged("cp", table.Floor, "cp", tar, file),
			{Name: "archive/tar walk", Role: table.Floor, Command: table.Self("tarwalk", tar)},
			{Name: "walk and SHA-512, one thread", Role: table.Floor, Command: table.Self("tarhash", tar)},
		}
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("tar of %d files, %.2f GB, to an image on tmpfs", tree.Files, float64(tree.TarSize)/1e9),
		Items: int64(tree.Files), Bytes: tree.TarSize,
		Cases: append([]table.Case{
			imaged("mullion cim create", table.Ours, mullion, "cim", "create", "--quiet", "tar:"+tree.Tar, cim),
			peer(imaged("tar2ext4", table.Peer, tar2ext4, "-i", tree.Tar, "-o", file), tar2ext4, noTar2ext4),
			imaged(erofsName, table.Peer, erofsCommand...),
			imaged("mksquashfs, uncompressed, from the tree", table.Peer, "mksquashfs", tree.Dir, file, "-quiet", "-no-progress", "-noI", "-noD", "-noF", "-noX"),
			imaged("wimcapture --compress=none, from the tree", table.Peer, "wimcapture", tree.Dir, file, "--compress=none", "--quiet"),
		}, floors(tree.Tar)...),
	})
	if err != nil {
		return err
	}
	_, err = table.Run(os.Stdout, table.Group{
		Title: fmt.Sprintf("tar of %d empty files to an image on tmpfs", emptyFiles), Items: emptyFiles,
		Cases: append([]table.Case{
			imaged("mullion cim create", table.Ours, mullion, "cim", "create", "--quiet", "tar:"+empty, cim),
			peer(imaged("tar2ext4", table.Peer, tar2ext4, "-i", empty, "-o", file), tar2ext4, noTar2ext4),
		}, floors(empty)...),
	})
	if err != nil {
		return err
	}
	for _, c := range []struct{ what, tar string }{{"the tree", tree.Tar}, {"the empty files", empty}} {
		if err := clean(); err != nil {
			return err
		}
		if err := createCIM([]string{c.tar, cim}); err != nil {
			return err
		}
		path, err := firstDeep(out, "tree.cim")
		if err != nil {
			return err
		}
		fmt.Printf("\nreading the image of %s\n", c.what)
		if err := measureReading(os.Stdout, out, "tree.cim", path); err != nil {
			return err
		}
	}
	return nil
}

// erofsWords is the command line of mkfs.erofs: from the tar where it can (since
// 1.7), otherwise from the tree.
func erofsWords(tarFile, dir, out string) (name string, words []string) {
	help, _ := exec.Command("mkfs.erofs", "--help").CombinedOutput() // it may exit with 1
	if bytes.Contains(help, []byte("--tar")) {
		return "mkfs.erofs --tar=f", []string{"mkfs.erofs", "--quiet", "--tar=f", out, tarFile}
	}
	return "mkfs.erofs, uncompressed, from the tree", []string{"mkfs.erofs", "--quiet", out, dir}
}

// build compiles a program of the module in dir.
func build(dir, path, pkg string) error {
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", pkg, err, out)
	}
	return nil
}

func walkTar(path string, hash bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(f)
	buf := make([]byte, 1<<18)
	sink := io.Discard
	for {
		_, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if hash {
			h := sha512.New()
			if _, err := io.CopyBuffer(h, r, buf); err != nil {
				return err
			}
			h.Sum(nil)
		} else if _, err := io.CopyBuffer(sink, r, buf); err != nil {
			return err
		}
	}
}

const emptyFiles = 100_000

// makeEmptyFiles makes a layer tar of empty files in 100 directories, once.
func makeEmptyFiles(cache string) (string, error) {
	path := filepath.Join(cache, "empty-files.tar")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := writeEmptyFiles(f, emptyFiles); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

// writeEmptyFiles writes a layer tar of n empty files in directories of a thousand.
func writeEmptyFiles(out io.Writer, n int) error {
	buffer := bufio.NewWriterSize(out, 1<<18)
	w := tar.NewWriter(buffer)
	var err error
	add := func(name string, kind byte, attr string) {
		err = errors.Join(err, w.WriteHeader(&tar.Header{
			Name: name, Typeflag: kind, Mode: 0o755, Format: tar.FormatPAX, ModTime: time.Unix(1_600_000_000, 0),
			PAXRecords: map[string]string{"MSWINDOWS.fileattr": attr},
		}))
	}
	add("Files", tar.TypeDir, "16")
	for i := range n {
		dir := fmt.Sprintf("Files/directory%02d", i/1000)
		if i%1000 == 0 {
			add(dir, tar.TypeDir, "16")
		}
		add(fmt.Sprintf("%s/file%06d.txt", dir, i), tar.TypeReg, "32")
	}
	return errors.Join(err, w.Close(), buffer.Flush())
}
