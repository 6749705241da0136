package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/mullion/mullion/build/internal/draft"
	"github.com/mullion/mullion/build/offline"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/regf"
)

// stage is one stage of a Dockerfile: where it begins, and after it was built its tree and
// its configuration.
type stage struct {
	*plan
	inst     *instructions.Stage
	index    int
	name     string // or stage-N
	base     string // name of the base, expanded
	platform image.Platform
	lint     *linter.Linter
	parent   *stage   // that the stage begins with, or nil
	replaced *Context // a build context of its name, which takes its place
	chain    bool     // the layers of the stage are in the image

	built   bool
	builder *builder
	img     *opened // base image of the chain, nil from scratch

	config    dockerspec.DockerOCIImageConfig
	escaped   bool // ArgsEscaped, which OCI calls deprecated and Windows needs
	author    string
	variables variables
	args      []instructions.KeyValuePairOptional // of ARG, for the history of RUN
	workdir   place
	steps     []*step // those of the parent first

	top      draft.Lower // the tree, nil before it is needed
	registry *offline.Registry
	deltas   map[hives.Name][][]byte // of the RUN instructions so far, the lowest first
	env      *hives.Env              // of the registry, nil before it is needed

	set struct {
		workdir                      bool
		cmd, entrypoint, healthcheck []parser.Range // of the last one in this stage
	}
	volumes []volume
}

// volume is a directory that a VOLUME names.
type volume struct {
	path place
	text string
	at   []parser.Range
}

// step is what an instruction adds to the image: an entry of the history and, unless it
// changes nothing, a layer.
type step struct {
	at          []parser.Range
	instruction string // its first line
	createdBy   string
	draft       *draft.Draft // or nil
}

// build carries out the instructions of a stage, once.
func (st *stage) build(ctx context.Context, b *builder) error {
	if st.built {
		return nil
	}
	st.built, st.builder = true, b
	triggers, err := st.begin(ctx)
	if err != nil {
		return st.src.at(st.inst.Location, "", err)
	}
	var commands []instructions.Command
	for _, text := range triggers {
		c, err := st.src.trigger(text, st.inst.Location)
		if err != nil {
			return st.src.at(st.inst.Location, "", err)
		}
		commands = append(commands, c)
	}
	onBuild := len(commands)
	if st.replaced == nil {
		commands = append(commands, st.inst.Commands...)
	}
	for i, c := range commands {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := commandText(c)
		if i < onBuild {
			text = "ONBUILD " + text
		}
		b.progress(Step{Stage: st.name, Index: i + 1, Total: len(commands), Instruction: short(text, 200)})
		if err := st.do(ctx, c); err != nil {
			return st.failed(c, err)
		}
	}
	return nil
}

// commandText returns the text of an instruction.
func commandText(c instructions.Command) string {
	if s, ok := c.(fmt.Stringer); ok {
		return s.String()
	}
	return c.Name()
}

// wordError is an error at a word of an instruction.
type wordError struct {
	word, hint string
	skip       int // occurrences of the word before the one that is meant
	error
}

func (e *wordError) Unwrap() error { return e.error }

func atWord(word string, err error) error {
	if err == nil {
		return nil
	}
	return &wordError{word: word, error: err}
}

// failed gives an error of an instruction its place.
func (st *stage) failed(c instructions.Command, err error) error {
	var w *wordError
	word, hint, skip := "", "", 0
	if errors.As(err, &w) {
		word, hint, skip = w.word, w.hint, w.skip
		if err == error(w) {
			err = w.error
		}
	}
	err = st.src.atOccurrence(c.Location(), word, skip, err)
	var e *Error
	if errors.As(err, &e) && e.Hint == "" {
		e.Hint = hint
	}
	return err
}

// begin takes over the base of the stage and returns its ONBUILD triggers.
func (st *stage) begin(ctx context.Context) (triggers []string, err error) {
	b := st.builder
	b.progress(Step{Stage: st.name, Total: len(st.inst.Commands), Instruction: short(st.inst.SourceCode, 200)})
	if p := st.parent; p != nil {
		if err := p.build(ctx, b); err != nil {
			return nil, err
		}
		return st.inherit(p), nil
	}
	if st.replaced == nil && st.base == emptyImage {
		return nil, nil
	}
	reference := st.base
	c, named := st.context(st.base)
	if st.replaced != nil {
		c, named = *st.replaced, true
	}
	if named {
		if c.Dir != "" {
			return nil, fmt.Errorf("%w: build context %s is a directory, which COPY --from reads; a stage begins with an image", ErrUnsupported, short(st.base, 100))
		}
		reference = c.Image
	}
	if st.img, err = b.open(ctx, reference, st.platform); err != nil {
		return nil, err
	}
	if !named {
		st.img.name = st.base
	}
	triggers, err = st.takeConfig()
	if st.replaced != nil {
		// They are for the stages that begin with this one, whose instructions don't count.
		triggers, st.config.OnBuild = nil, triggers
	}
	return triggers, err
}

// inherit begins with another stage of the Dockerfile.
func (st *stage) inherit(p *stage) (triggers []string) {
	st.img, st.author, st.platform, st.escaped = p.img, p.author, p.platform, p.escaped
	st.config = cloneConfig(p.config)
	triggers, st.config.OnBuild = st.config.OnBuild, nil
	st.variables, st.args = p.variables.clone(), slices.Clone(p.args)
	st.workdir, st.set.workdir = slices.Clone(p.workdir), p.set.workdir
	st.steps, st.top = slices.Clone(p.steps), p.top
	st.volumes = slices.Clone(p.volumes)
	st.deltas = map[hives.Name][][]byte{}
	for n, list := range p.deltas {
		st.deltas[n] = slices.Clone(list)
	}
	return triggers
}

func cloneConfig(c dockerspec.DockerOCIImageConfig) dockerspec.DockerOCIImageConfig {
	c.ExposedPorts, c.Volumes, c.Labels = maps.Clone(c.ExposedPorts), maps.Clone(c.Volumes), maps.Clone(c.Labels)
	c.Env, c.Entrypoint, c.Cmd = slices.Clone(c.Env), slices.Clone(c.Entrypoint), slices.Clone(c.Cmd)
	c.OnBuild, c.Shell = slices.Clone(c.OnBuild), slices.Clone(c.Shell)
	return c
}

// takeConfig reads the configuration of the base image.
func (st *stage) takeConfig() (triggers []string, err error) {
	var c dockerspec.DockerOCIImage
	var more struct{ Config struct{ ArgsEscaped bool } }
	if err := errors.Join(json.Unmarshal(st.img.RawConfig(), &c), json.Unmarshal(st.img.RawConfig(), &more)); err != nil {
		return nil, fmt.Errorf("%w: configuration of %s: %w", image.ErrManifest, st.base, err)
	}
	st.config, st.author, st.escaped = c.Config, c.Author, more.Config.ArgsEscaped
	triggers, st.config.OnBuild = st.config.OnBuild, nil
	for _, word := range st.config.Env {
		name, value, _ := strings.Cut(word, "=")
		st.variables.set(name, value)
	}
	if dir := st.config.WorkingDir; dir != "" {
		if st.workdir, _, err = parsePlace(dir, nil); err != nil {
			return nil, fmt.Errorf("working directory of %s: %w", st.base, err)
		}
	}
	return triggers, nil
}

// expander returns an expander of the stage's variables.
func (st *stage) expand(ctx context.Context) *expander {
	x := st.plan.expander(&st.variables)
	x.registry = func() (*hives.Env, error) { return st.environment(ctx) }
	return x
}

// environment returns the variables of a process in a container of the stage.
func (st *stage) environment(ctx context.Context) (*hives.Env, error) {
	if st.env == nil {
		c := st.container(ctx, nil)
		env, err := c.Environment()
		if err != nil {
			return nil, err
		}
		st.env = env
	}
	return st.env, nil
}

// openHive opens a hive of the registry as it is after the instructions so far.
func (st *stage) openHive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	base, err := st.baseHive(ctx, n)
	if err != nil || len(st.deltas[n]) == 0 {
		return base, err
	}
	layers := []*regf.Hive{base}
	for _, b := range st.deltas[n] {
		h, err := regf.OpenBytes(b, nil)
		if err != nil {
			return nil, errors.Join(err, closeHives(layers))
		}
		layers = append(layers, h)
	}
	h, err := regf.MergeView(ctx, layers, nil)
	if err != nil {
		return nil, errors.Join(err, closeHives(layers))
	}
	return h, nil
}

func closeHives(list []*regf.Hive) error {
	var errs []error
	for _, h := range list {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// baseHive opens a hive of the base image.
func (st *stage) baseHive(ctx context.Context, n hives.Name) (*regf.Hive, error) {
	if st.img == nil {
		return st.scratchHive(ctx, n)
	}
	h, err := st.img.hive(ctx, n)
	if errors.Is(err, hives.ErrNoBase) {
		return nil, fmt.Errorf("hive %v of %s: %w", n, st.base, fs.ErrNotExist)
	}
	return h, err
}

// tree returns the tree of the stage as it is after the instructions so far.
func (st *stage) tree(ctx context.Context) (draft.Lower, error) {
	if st.top != nil {
		return st.top, nil
	}
	if st.img == nil {
		st.top = draft.NoLower
		return st.top, nil
	}
	t, err := st.img.tree(ctx)
	if err != nil {
		return nil, err
	}
	st.top = t
	return st.top, nil
}
