package cimlayer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/hives/bcd"
	"github.com/mullion/mullion/internal/publish"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// CimBoot has a base layer made ready for a utility VM that boots from its image, as
// hcsshim did for containerd until 2024 (docs/spec/layers.md, "Booting a utility VM
// from its image").
type CimBoot struct {
	// Template is a boot configuration store that bcdedit has prepared, from which the
	// devices come whose encoding is not public; nil leaves them to the machine that
	// runs the layer.
	Template []byte
	// Left is called with the commands that remain to be run on Windows: arguments of
	// bcdedit for the store next to the image. It may be nil.
	Left func(commands []string)
}

// WithCimBoot makes a base layer ready for CimFS boot. Layers with parents and base
// layers without a utility VM, or with one of build 20348 or below, which cannot boot so,
// are written as without it.
//
// The file uvmbuildversion is written beside the image, with the build of the utility VM
// in decimal digits, and the VM's SYSTEM hive and boot configuration are changed, in the
// image and beside it; see [hives.EnableCimBoot] and [bcd.EnableCimBoot]. No disk is
// made: the machine that runs the layer does that.
func WithCimBoot(b CimBoot) Option { return func(opt *options) { opt.cimBoot = &b } }

// cimBootAfter is the last build whose utility VMs do not boot from CimFS.
const cimBootAfter = 20348

// The files of a utility VM that CimFS boot reads or changes.
const (
	vmSystem     = `UtilityVM\Files\Windows\System32\config\SYSTEM`
	vmSoftware   = `UtilityVM\Files\Windows\System32\config\SOFTWARE`
	vmBCD        = `UtilityVM\Files\EFI\Microsoft\Boot\BCD`
	buildVersion = "uvmbuildversion"
)

// maxBootFile is the size in bytes of the largest of those files that is held in memory;
// genuine ones have a few MiB.
const maxBootFile = 256 << 20

// enableCimBoot changes the queued files of a utility VM before they join the image.
func (w *Writer) enableCimBoot() error {
	if w.opt.cimBoot == nil || len(w.parents) > 0 || !w.isQueued(vmSoftware) {
		return nil
	}
	var build uint32
	err := w.readHive(vmSoftware, func(h *regf.Hive) error {
		v, err := hives.OSVersionOf(h)
		build = v.Build
		return err
	})
	if err != nil {
		return err
	}
	if build <= cimBootAfter {
		return nil
	}
	if build > math.MaxUint16 {
		return fmt.Errorf("%s: %w: build %d does not fit %s", vmSoftware, ErrUtilityVM, build, buildVersion)
	}
	for _, p := range []string{vmSystem, vmBCD} {
		if !w.isQueued(p) {
			return fmt.Errorf("%w: it boots from an image only with %s", ErrUtilityVM, p)
		}
	}
	err = publish.WritePart(w.root, buildVersion, 0o644, func(f io.Writer) error {
		_, err := f.Write(strconv.AppendUint(nil, uint64(build), 10))
		return err
	})
	if err != nil {
		return err
	}
	if err := w.editHive(vmBCD, w.enableCimBootBCD); err != nil {
		return err
	}
	return w.editHive(vmSystem, hives.EnableCimBoot)
}

func (w *Writer) enableCimBootBCD(h *regf.Hive) error {
	s, err := bcd.Open(h)
	if err != nil {
		return err
	}
	var template *bcd.Store
	if b := w.opt.cimBoot.Template; b != nil {
		th, err := regf.OpenBytes(b, nil)
		if err != nil {
			return fmt.Errorf("template: %w", err)
		}
		defer th.Close()
		if template, err = bcd.Open(th); err != nil {
			return fmt.Errorf("template: %w", err)
		}
	}
	left, err := bcd.EnableCimBoot(s, `\cim-layers\`+w.loc.Name, template)
	if f := w.opt.cimBoot.Left; err == nil && f != nil && len(left) > 0 {
		f(left)
	}
	return err
}

// readHive opens a queued file as a hive.
func (w *Writer) readHive(path string, f func(*regf.Hive) error) error {
	h, err := openHostHive(w.root, path)
	if err == nil {
		defer h.Close()
		err = f(h)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrUtilityVM, err)
	}
	return nil
}

// openHostHive opens a hive beside an image, held in memory, by its path in the layer.
func openHostHive(root *os.Root, path string) (*regf.Hive, error) {
	file, err := root.Open(winfs.ToSlash(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxBootFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxBootFile {
		return nil, fmt.Errorf("more than %d bytes", maxBootFile)
	}
	// Keys that an edit creates have no time, so that equal layers have equal bytes.
	return regf.OpenBytes(b, &regf.Options{Clock: func() winfs.Filetime { return 0 }})
}

// editHive changes a queued hive.
func (w *Writer) editHive(path string, edit func(*regf.Hive) error) error {
	var out bytes.Buffer
	err := w.readHive(path, func(h *regf.Hive) error {
		if err := edit(h); err != nil {
			return err
		}
		return h.WriteImage(&out)
	})
	if err != nil {
		return err
	}
	q := &w.queue[w.byPath[winfs.Fold(path)]]
	if q.host == "" {
		return fmt.Errorf("%s: %w: it is a hard link", path, ErrUtilityVM)
	}
	st, err := w.root.Stat(q.host)
	if err != nil {
		return err
	}
	if err := publish.Remove(w.root, q.host); err != nil {
		return err
	}
	size := int64(out.Len())
	if err := publish.WritePart(w.root, q.host, st.Mode().Perm(), func(f io.Writer) error { _, err := out.WriteTo(f); return err }); err != nil {
		return err
	}
	q.size, q.entry.Size = size, size
	return nil
}

// CimBootReady reports whether a layer that is kept as an image was written with
// WithCimBoot, or needs no change for it because it has no utility VM that boots so.
func (l Location) CimBootReady() (bool, error) {
	root, err := os.OpenRoot(l.Files)
	if err != nil {
		return false, err
	}
	defer root.Close()
	if _, err := root.Lstat(buildVersion); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	h, err := openHostHive(root, vmSoftware)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer h.Close()
	v, err := hives.OSVersionOf(h)
	return err == nil && v.Build <= cimBootAfter, err
}
