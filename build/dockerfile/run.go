package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/build/offline"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// container is what the commands of a RUN see and change. Without a draft it serves for its
// variables alone.
func (st *stage) container(ctx context.Context, d *draft.Draft) *offline.Container {
	if st.registry == nil {
		st.registry = offline.NewRegistry(func(n hives.Name) (*regf.Hive, error) { return st.openHive(ctx, n) })
		st.builder.closeLater(st.registry.Close)
	}
	c := &offline.Container{Registry: st.registry, Env: st.config.Env, WorkDir: st.workdir.String(), User: st.config.User, Now: st.builder.now(st)}
	if d != nil {
		c.Files = draftFiles{d}
		c.MaxArchive = max(0, st.opt.Limits.TotalSize)
		c.Env = st.variables.words()
		for _, name := range proxyArgs {
			if value, ok := st.opt.Args[name]; ok {
				c.Env = append(c.Env, name+"="+value)
			}
		}
	}
	return c
}

// proxyArgs are the arguments that a RUN sees without an ARG.
var proxyArgs = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"}

// doRun carries out a RUN: the commands change files and the registry, and the changes of the
// registry become delta hives.
func (st *stage) doRun(ctx context.Context, c *instructions.RunCommand) error {
	if len(c.FlagsUsed) > 0 {
		flag := "--" + slices.Min(c.FlagsUsed)
		return atWord(flag, fmt.Errorf("%w: RUN %s is about a process, and none runs", ErrUnsupported, flag))
	}
	args := c.CmdLine
	if len(c.Files) > 0 {
		text, err := heredoc(c)
		if err != nil {
			return err
		}
		args = []string{text}
	}
	d, err := st.newDraft(ctx)
	if err != nil {
		return err
	}
	box := st.container(ctx, d)
	if c.PrependShell {
		err = offline.Run(ctx, box, st.shell(), strings.Join(args, " "))
		args = append(append([]string{}, st.shell()...), args...)
	} else {
		err = offline.Exec(ctx, box, args)
	}
	if err != nil {
		return runError(err)
	}
	if err := st.takeRegistry(ctx, d); err != nil {
		return err
	}
	st.env = nil
	return st.commitDraft(c, "RUN "+strings.Join(append(st.buildArgs(), args...), " "), d)
}

// commandError is an error of a command, whose column in the line means nothing to a reader of
// the Dockerfile.
type commandError struct{ cause *offline.Error }

func (e commandError) Error() string {
	if e.cause.Word == "" {
		return e.cause.Err.Error()
	}
	return short(e.cause.Word, 80) + ": " + e.cause.Err.Error()
}

func (e commandError) Unwrap() error { return e.cause }

// runError adds the place and the advice of a command that is not carried out.
func runError(err error) error {
	var e *offline.Error
	if !errors.As(err, &e) {
		return err
	}
	skip := 0
	if e.Word != "" && e.Column > 0 && e.Column <= len(e.Line) {
		skip = strings.Count(e.Line[:e.Column-1], e.Word)
	}
	return &wordError{word: e.Word, skip: skip, hint: e.Advice, error: commandError{e}}
}

// heredoc returns the commands of RUN <<EOF. A command that reads a heredoc, as in
// RUN python <<EOF, has a program that reads it.
func heredoc(c *instructions.RunCommand) (string, error) {
	if len(c.CmdLine) != 1 || !c.PrependShell || len(c.Files) != 1 || parser.MustParseHeredoc(c.CmdLine[0]) == nil {
		return "", fmt.Errorf("%w: a heredoc is carried out when it is the whole command, RUN <<EOF", ErrUnsupported)
	}
	data := c.Files[0].Data
	if c.Files[0].Chomp {
		data = parser.ChompHeredocContent(data)
	}
	return data, nil
}

// buildArgs returns the arguments of a RUN as BuildKit writes them into the history.
func (st *stage) buildArgs() []string {
	var words []string
	index := map[string]int{}
	for _, a := range st.args {
		value, ok := st.variables.get(a.Key)
		if !ok {
			value = a.ValueString()
		}
		key := winfs.Fold(a.Key)
		if i, ok := index[key]; ok {
			words[i] = a.Key + "=" + value
			continue
		}
		index[key] = len(words)
		words = append(words, a.Key+"="+value)
	}
	if len(words) > 0 {
		words = append([]string{fmt.Sprintf("|%d", len(words))}, words...)
	}
	return words
}

// takeRegistry writes what a RUN changed in the registry into the layer.
func (st *stage) takeRegistry(ctx context.Context, d *draft.Draft) (err error) {
	base := st.isBase()
	changed, form := map[hives.Name]*regf.Hive(nil), hives.Delta
	if base {
		form = hives.Config
		changed, err = st.registry.Whole(ctx)
	} else {
		changed, err = st.registry.Deltas(ctx)
	}
	if err != nil {
		return err
	}
	defer func() {
		for _, h := range changed {
			err = errors.Join(err, h.Close())
		}
	}()
	for _, n := range hives.All() {
		h := changed[n]
		if h == nil {
			continue
		}
		image, err := h.Image()
		if err != nil {
			return fmt.Errorf("hive %v: %w", n, err)
		}
		if err := st.writeHive(d, n, form, image); err != nil {
			return err
		}
		if !base {
			if st.deltas == nil {
				st.deltas = map[hives.Name][][]byte{}
			}
			st.deltas[n] = append(st.deltas[n], image)
		}
	}
	return nil
}
