package dockerfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/winsec"
)

// transfer is a COPY or an ADD.
type transfer struct {
	paths    instructions.SourcesAndDest
	source   content.Source
	chown    string
	chmod    string
	options  content.Options
	readOnly *bool // of --chmod, nil for what the source has
	history  string
}

func (st *stage) doCopy(ctx context.Context, c *instructions.CopyCommand) error {
	t := &transfer{paths: c.SourcesAndDest, chown: c.Chown, chmod: c.Chmod, history: "COPY",
		options: content.Options{Parents: c.Parents, Exclude: c.ExcludePatterns}}
	if c.Parents {
		t.history += " --parents"
	}
	for _, name := range c.SourcePaths {
		if remote(name) != "" {
			return atWord(name, fmt.Errorf("%w: COPY reads no URLs", ErrSyntax))
		}
	}
	var err error
	if c.From == "" {
		if len(c.SourcePaths) > 0 {
			t.source, err = st.builder.context(st.opt.Context, st.opt.Ignore)
		}
	} else {
		t.source, err = st.copySource(ctx, c)
	}
	if err != nil {
		return err
	}
	return st.transfer(ctx, c, t)
}

// copySource returns what --from names.
func (st *stage) copySource(ctx context.Context, c *instructions.CopyCommand) (content.Source, error) {
	other, err := st.from(st, c)
	if err != nil {
		return nil, atWord("--from", err)
	}
	named, isContext := Context{}, false
	switch {
	case other != nil && other.replaced != nil:
		named, isContext = *other.replaced, true
	case other == nil:
		named, isContext = st.plan.context(c.From)
	}
	var lower draft.Lower
	switch {
	case isContext && named.Dir != "":
		return st.builder.context(named.Dir, nil)
	case other != nil && other.replaced == nil:
		if err := other.build(ctx, st.builder); err != nil {
			return nil, err
		}
		lower, err = other.tree(ctx)
	default:
		reference := c.From
		if isContext {
			reference = named.Image
		}
		var img *opened
		if img, err = st.builder.open(ctx, reference, st.platform); err == nil {
			lower, err = img.tree(ctx)
		}
	}
	if err != nil {
		return nil, atWord("--from", err)
	}
	return content.FromTree(lower, layer.RootFiles), nil
}

func (st *stage) doAdd(ctx context.Context, c *instructions.AddCommand) error {
	for _, name := range c.SourcePaths {
		if kind := remote(name); kind != "" {
			return &wordError{word: name, hint: "download it before the build and name its directory with --build-context",
				error: fmt.Errorf("%w: ADD of a %s: nothing is downloaded but images", ErrUnsupported, kind)}
		}
	}
	if c.Checksum != "" || c.KeepGitDir != nil {
		flag := "--checksum"
		if c.Checksum == "" {
			flag = "--keep-git-dir"
		}
		return atWord(flag, fmt.Errorf("%w: %s is for URLs and git repositories", ErrUnsupported, flag))
	}
	t := &transfer{paths: c.SourcesAndDest, chown: c.Chown, chmod: c.Chmod, history: "ADD",
		options: content.Options{Extract: c.Unpack == nil || *c.Unpack, Exclude: c.ExcludePatterns}}
	if len(c.SourcePaths) > 0 {
		var err error
		if t.source, err = st.builder.context(st.opt.Context, st.opt.Ignore); err != nil {
			return err
		}
	}
	return st.transfer(ctx, c, t)
}

// remote says what a source is that is not in the context: a URL or a git repository.
func remote(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(lower, "http://"), strings.HasPrefix(lower, "https://"):
		return "URL"
	case strings.HasPrefix(lower, "git@"), strings.HasPrefix(lower, "git://"), strings.HasPrefix(lower, "ssh://"):
		return "git repository"
	}
	return ""
}

// transfer carries out a COPY or an ADD.
func (st *stage) transfer(ctx context.Context, c instructions.Command, t *transfer) error {
	dst, toDir, err := parsePlace(t.paths.DestPath, st.workdir)
	if err != nil {
		return atWord(t.paths.DestPath, err)
	}
	if t.options.Meta.Owner, err = owner(t.chown); err != nil {
		return atWord("--chown", err)
	}
	if t.readOnly, err = readOnly(t.chmod); err != nil {
		return &wordError{word: "--chmod", error: err, hint: "access is kept in descriptors: RUN icacls changes them"}
	}
	t.options.Epoch, t.options.Limits = st.opt.Epoch, st.opt.Limits
	if t.chown != "" {
		t.history += " --chown=" + t.chown
	}
	if t.chmod != "" {
		t.history += " --chmod=" + t.chmod
	}
	d, err := st.newDraft(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, name := range t.paths.SourcePaths {
		t.history += " " + name
		clean, err := sourceName(name, t.options.Parents)
		if err != nil {
			return atWord(name, err)
		}
		names = append(names, clean)
	}
	many := len(t.paths.SourcePaths)+len(t.paths.SourceContents) > 1
	if many && !toDir {
		if item, err := d.Lookup(dst.layer()); err != nil || item.Kind != layer.Dir {
			return atWord(t.paths.DestPath, fmt.Errorf("%w: the destination of several sources is a directory and ends with a slash", ErrSyntax))
		}
	}
	if len(names) > 0 {
		if err := content.CopyInto(ctx, d, t.source, names, dst.layer(), toDir, t.options); err != nil {
			return st.sourceError(t, names, err)
		}
	}
	for _, f := range t.paths.SourceContents {
		t.history += " <<" + f.Path
		text := t.options
		text.Parents, text.Exclude = false, nil
		if err := content.CopyInto(ctx, d, content.Inline(f.Path, []byte(f.Data)), []string{f.Path}, dst.layer(), toDir, text); err != nil {
			return atWord(f.Path, err)
		}
	}
	if t.readOnly != nil {
		if err := setReadOnly(ctx, d, *t.readOnly); err != nil {
			return err
		}
	}
	return st.commitDraft(c, t.history+" "+t.paths.DestPath, d)
}

// setReadOnly sets or clears the attribute READONLY of the files of a draft: all are those of
// one instruction.
func setReadOnly(ctx context.Context, d *draft.Draft, on bool) (err error) {
	r, err := d.Layer()
	if err != nil {
		return err
	}
	var paths []string
	for {
		e, err := r.Next()
		if err == nil {
			err = ctx.Err()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if e.Kind == layer.File && !e.IsReparsePoint() && (e.Attributes&winfs.AttrReadOnly != 0) != on {
			paths = append(paths, e.Path)
		}
	}
	if err := r.Close(); err != nil {
		return err
	}
	for _, p := range paths {
		err := d.Set(p, func(e *layer.Entry) error {
			if e.Attributes &^= winfs.AttrReadOnly; on {
				e.Attributes |= winfs.AttrReadOnly
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sourceError gives an error about sources the word of the one that it is about.
func (st *stage) sourceError(t *transfer, names []string, err error) error {
	var named *content.Error
	if errors.As(err, &named) {
		for i, n := range names {
			if n == named.Name || strings.HasPrefix(named.Name, n+"/") {
				return atWord(t.paths.SourcePaths[i], err)
			}
		}
	}
	if len(names) == 1 {
		return atWord(t.paths.SourcePaths[0], err)
	}
	return err
}

// sourceName cleans the name of a source: it is below the root of the context, the stage or
// the image, as in Docker, whatever it begins with. With parents a component "." divides it.
func sourceName(name string, parents bool) (string, error) {
	s := strings.ReplaceAll(name, `\`, "/")
	if len(s) >= 2 && s[1] == ':' && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z') {
		if s[0]|0x20 != 'c' {
			return "", fmt.Errorf("%w: %s: a container has the drive C: alone", ErrPath, short(name, 200))
		}
		s = s[2:]
	}
	pivot := ""
	if before, after, ok := strings.Cut(s, "/./"); ok && parents {
		pivot, s = strings.TrimPrefix(path.Clean("/"+before), "/")+"/./", after
	}
	s = strings.TrimPrefix(path.Clean("/"+s), "/")
	if s == "" {
		s = "."
	}
	return strings.TrimPrefix(pivot, "/") + s, nil
}

// owner returns the account of --chown: a name, a SID, or an owner in SDDL, O:BA.
func owner(text string) (winsec.SID, error) {
	if text == "" {
		return winsec.SID{}, nil
	}
	if strings.HasPrefix(text, "O:") {
		d, err := winsec.ParseSDDL(text)
		if err != nil {
			return winsec.SID{}, fmt.Errorf("--chown=%s: %w", short(text, 100), err)
		}
		if d.Owner == nil {
			return winsec.SID{}, fmt.Errorf("--chown=%s: it names no owner", short(text, 100))
		}
		return *d.Owner, nil
	}
	sid, err := winsec.AccountSID(text)
	if err != nil {
		return sid, fmt.Errorf("--chown=%s: %w; an account of Windows, such as ContainerUser, BUILTIN\\Users, a SID or O:BA", short(text, 100), err)
	}
	return sid, nil
}

// readOnly returns what --chmod does to files: it sets or clears READONLY, the only one of
// their attributes that an octal mode can mean.
func readOnly(mode string) (*bool, error) {
	if mode == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(mode, 8, 32)
	none, some := true, false
	switch {
	case err != nil || n > 0o777:
		return nil, fmt.Errorf("%w: --chmod=%s: Windows has no such mode; 0444 and 0555 set the attribute READONLY, 0644 and 0755 clear it", ErrUnsupported, short(mode, 100))
	case n&0o444 == 0o444 && n&0o222 == 0:
		return &none, nil
	case n&0o644 == 0o644:
		return &some, nil
	}
	return nil, fmt.Errorf("%w: --chmod=%s takes access from someone, which Windows keeps in descriptors; 0444 and 0555 set the attribute READONLY, 0644 and 0755 clear it", ErrUnsupported, short(mode, 100))
}

// maxIgnore bounds a .dockerignore.
const maxIgnore = 1 << 20

// context opens a build context, once. ignore takes the place of its .dockerignore.
func (b *builder) context(dir string, ignore io.Reader) (*content.Context, error) {
	if c := b.contexts[dir]; c != nil {
		return c, nil
	}
	var patterns []byte
	var err error
	if ignore != nil {
		patterns, err = io.ReadAll(io.LimitReader(ignore, maxIgnore+1))
		if err == nil && len(patterns) > maxIgnore {
			err = &layer.LimitError{Limit: "size of .dockerignore", Max: maxIgnore}
		}
	} else {
		patterns, err = readIgnore(dir)
	}
	if err != nil {
		return nil, err
	}
	c, err := content.OpenContext(dir, bytes.NewReader(patterns))
	if err != nil {
		return nil, err
	}
	b.contexts[dir] = c
	b.closeLater(c.Close)
	return c, nil
}

func readIgnore(dir string) (_ []byte, err error) {
	c, err := content.OpenContext(dir, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	b, err := c.ReadFile(".dockerignore", maxIgnore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
