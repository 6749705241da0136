package dockerfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/build/offline"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/internal/ctxio"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// newDraft returns a draft over the tree of the stage as it is.
func (st *stage) newDraft(ctx context.Context) (*draft.Draft, error) {
	lower, err := st.tree(ctx)
	if err != nil {
		return nil, err
	}
	return draft.New(lower, draft.Options{Now: st.builder.now(st), Limits: st.opt.Limits}), nil
}

// isBase reports whether the next layer of the stage is a base layer.
func (st *stage) isBase() bool {
	if st.img != nil && len(st.img.Layers()) > 0 {
		return false
	}
	for _, s := range st.steps {
		if s.draft != nil {
			return false
		}
	}
	return true
}

// commit ends an instruction without changes of files.
func (st *stage) commit(c instructions.Command, createdBy string) {
	st.steps = append(st.steps, &step{at: c.Location(), instruction: short(commandText(c), 200), createdBy: createdBy})
}

// commitDraft ends an instruction that may have changed files. A draft that changes nothing is
// no layer.
func (st *stage) commitDraft(c instructions.Command, createdBy string, d *draft.Draft) error {
	if d.Empty() {
		st.commit(c, createdBy)
		return nil
	}
	if st.chain && st.isBase() {
		if err := st.completeBase(d); err != nil {
			return err
		}
	}
	st.commit(c, createdBy)
	st.steps[len(st.steps)-1].draft, st.top = d, d
	return nil
}

// doWorkdir changes the working directory, and makes it if it does not exist.
func (st *stage) doWorkdir(ctx context.Context, c *instructions.WorkdirCommand) error {
	p, _, err := parsePlace(c.Path, st.workdir)
	if err != nil {
		return atWord(c.Path, err)
	}
	if !isAbsolute(c.Path) && !st.set.workdir {
		st.lint.Run(&linter.RuleWorkdirRelativePath, c.Location(), linter.RuleWorkdirRelativePath.Format(c.Path))
	}
	st.set.workdir = true
	d, err := st.newDraft(ctx)
	if err != nil {
		return err
	}
	if err := st.mkdirAll(d, p); err != nil {
		return atWord(c.Path, err)
	}
	st.workdir, st.config.WorkingDir = p, p.String()
	return st.commitDraft(c, "WORKDIR "+p.String(), d)
}

// errNotDirectory reports a directory of an instruction that is a file in the image.
var errNotDirectory = errors.New("is no directory in the image")

func (st *stage) mkdirAll(d *draft.Draft, p place) error {
	item, err := d.Lookup(p.layer())
	if err == nil && item.Kind != layer.Dir {
		return fmt.Errorf("%v %w", p, errNotDirectory)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.MkdirAll(p.layer(), draft.Meta{})
}

// scratchHive opens a hive of a stage from scratch: the one that its base layer has, or the
// minimal one that the layer will get.
func (st *stage) scratchHive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	for _, s := range st.steps {
		if s.draft != nil {
			b, err := readFile(ctx, s.draft, n.Path(hives.Config), maxScratchHive)
			if err != nil {
				return nil, err
			}
			return regf.OpenBytes(b, nil)
		}
	}
	b, err := st.minimalHive(n)
	if err != nil {
		return nil, err
	}
	return regf.OpenBytes(b, nil)
}

// maxScratchHive bounds a hive that a Dockerfile copies into an image from scratch and then
// changes: it is held in memory.
const maxScratchHive = 256 << 20

func (st *stage) minimalHive(n hives.Name) ([]byte, error) {
	var v hives.OSVersion
	if text := st.opt.Platform.OSVersion; text != "" {
		var err error
		if v, err = hives.ParseOSVersion(text); err != nil {
			return nil, err
		}
	}
	return hives.Minimal(n, v)
}

// completeBase adds to the base layer of an image from scratch the hives that it lacks, so
// that Windows takes it as a base layer (package hives, Complete).
func (st *stage) completeBase(d *draft.Draft) error {
	for _, n := range hives.All() {
		_, err := d.Lookup(n.Path(hives.Config))
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b, err := st.minimalHive(n)
		if err != nil {
			return err
		}
		if err := st.writeHive(d, n, hives.Config, b); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads a file of a tree into memory.
func readFile(ctx context.Context, tree draft.Lower, path string, most int64) (_ []byte, err error) {
	r, err := tree.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := r.Next(); err != nil {
		return nil, err
	}
	if _, err := r.NextStream(); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(ctxio.Reader(ctx, r), most+1))
	if err == nil && int64(len(b)) > most {
		err = &layer.LimitError{Limit: "hive size", Max: most}
	}
	return b, err
}

// bytesContent is the content of a file in memory.
type bytesContent []byte

func (b bytesContent) Size() int64                  { return int64(len(b)) }
func (b bytesContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// writeHive writes a hive into a layer.
func (st *stage) writeHive(d *draft.Draft, n hives.Name, f hives.Form, image []byte) error {
	path := n.Path(f)
	dir, _ := winfs.SplitPath(path)
	if err := d.MkdirAll(dir, draft.Meta{}); err != nil {
		return err
	}
	return d.Write(path, bytesContent(image), draft.Meta{})
}

// draftFiles are the files of a draft as package offline changes them.
type draftFiles struct{ *draft.Draft }

func metaOf(m offline.Meta) draft.Meta {
	return draft.Meta{Attributes: m.Attributes, Times: m.Times, Security: m.Security}
}

// Mkdir implements offline.Files.
func (f draftFiles) Mkdir(path string, m offline.Meta) error { return f.Draft.Mkdir(path, metaOf(m)) }

// Write implements offline.Files.
func (f draftFiles) Write(path string, c offline.Content, m offline.Meta) error {
	return f.Draft.Write(path, c, metaOf(m))
}

// Copy implements offline.Files.
func (f draftFiles) Copy(from, to string, m offline.Meta) error {
	return f.Draft.Copy(from, to, metaOf(m))
}

// Reparse implements offline.Files.
func (f draftFiles) Reparse(path string, dir bool, buffer []byte, m offline.Meta) error {
	return f.Draft.Reparse(path, dir, buffer, metaOf(m))
}
