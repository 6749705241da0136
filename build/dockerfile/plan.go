package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/mullion/mullion/image"
)

// emptyImage is the name of no image.
const emptyImage = "scratch"

// plan is a Dockerfile with its stages found, before any image is opened.
type plan struct {
	src    *source
	opt    *Options
	global variables // of the ARG instructions before the first FROM, and the predefined ones
	stages []*stage
	named  map[string]*stage // by lower-case name: the last one, as in BuildKit
	target *stage
}

// newPlan resolves the names of base images and stages.
func newPlan(src *source, opt *Options) (*plan, error) {
	p := &plan{src: src, opt: opt, named: map[string]*stage{}}
	p.predefine()
	if err := p.globals(); err != nil {
		return nil, err
	}
	for i := range src.stages {
		if err := p.addStage(i); err != nil {
			return nil, err
		}
	}
	return p, p.choose()
}

// predefine sets the arguments that every Dockerfile has. The builder stands for one on
// Windows: its own platform is that of the target without a version, so that the result does
// not depend on the machine.
func (p *plan) predefine() {
	target := p.opt.Platform
	if target.OS == "" {
		target.OS = "windows"
	}
	if target.Architecture == "" {
		target.Architecture = "amd64"
	}
	builder := image.Platform{OS: target.OS, Architecture: target.Architecture, Variant: target.Variant}
	name := p.opt.Target
	if name == "" {
		name = p.src.stages[len(p.src.stages)-1].Name
	}
	if name == "" {
		name = "default"
	}
	for _, a := range [...][2]string{
		{"BUILDPLATFORM", builder.String()}, {"BUILDOS", builder.OS}, {"BUILDOSVERSION", ""},
		{"BUILDARCH", builder.Architecture}, {"BUILDVARIANT", builder.Variant},
		{"TARGETPLATFORM", target.String()}, {"TARGETOS", target.OS}, {"TARGETOSVERSION", target.OSVersion},
		{"TARGETARCH", target.Architecture}, {"TARGETVARIANT", target.Variant}, {"TARGETSTAGE", name},
	} {
		value := a[1]
		if given, ok := p.opt.Args[a[0]]; ok {
			value = given
		}
		p.global.set(a[0], value)
	}
}

// expander returns an expander of the words outside of stages.
func (p *plan) expander(v *variables) *expander {
	return &expander{lex: shell.NewLex(p.src.escape), escape: p.src.escape, variables: v}
}

func (p *plan) globals() error {
	x := p.expander(&p.global)
	for i := range p.src.args {
		c := &p.src.args[i]
		for _, a := range c.Args {
			value := a.Value
			if given, ok := p.opt.Args[a.Key]; ok {
				value = &given
			} else if value != nil {
				e, err := x.word(*value)
				if err != nil {
					return p.src.at(c.Location(), a.Key, err)
				}
				value = &e.text
			}
			if value == nil {
				continue
			}
			if err := checkVariable(a.Key, *value); err != nil {
				return p.src.at(c.Location(), a.Key, err)
			}
			p.global.set(a.Key, *value)
		}
	}
	return nil
}

func (p *plan) addStage(i int) error {
	inst := &p.src.stages[i]
	lint := p.src.lint.WithMergedConfigFromComments(inst.Comments)
	st := &stage{plan: p, inst: inst, index: i, name: inst.Name, lint: lint}
	if st.name == "" {
		st.name = fmt.Sprintf("stage-%d", i)
	}
	x := p.expander(&p.global)
	base, err := x.word(inst.BaseName)
	if err == nil && base.text == "" {
		err = fmt.Errorf("%w: the name of the base, %s, is empty", ErrStage, inst.BaseName)
	}
	if err != nil {
		return p.src.at(inst.Location, inst.BaseName, err)
	}
	st.undefinedInFrom(base.unmatched)
	st.base = base.text
	if inst.Platform != "" {
		e, err := x.word(inst.Platform)
		if err != nil {
			return p.src.at(inst.Location, inst.Platform, err)
		}
		st.undefinedInFrom(e.unmatched)
		if st.platform, err = image.ParsePlatform(e.text); err != nil {
			return p.src.at(inst.Location, inst.Platform, err)
		}
		if want, _ := p.global.get("TARGETPLATFORM"); len(e.matched) == 1 && len(e.unmatched) == 0 && e.text == want {
			if _, ok := e.matched["TARGETPLATFORM"]; ok {
				lint.Run(&linter.RuleRedundantTargetPlatform, inst.Location, linter.RuleRedundantTargetPlatform.Format(inst.Platform))
			}
		}
		if len(e.matched) == 0 && len(e.unmatched) == 0 && !strings.Contains(inst.Name, st.platform.OS) &&
			(st.platform.Architecture == "" || !strings.Contains(inst.Name, st.platform.Architecture)) {
			lint.Run(&linter.RuleFromPlatformFlagConstDisallowed, inst.Location, linter.RuleFromPlatformFlagConstDisallowed.Format(e.text))
		}
	}
	if inst.Name != "" {
		if c, ok := p.opt.Contexts[inst.Name]; ok {
			st.replaced = &c
		}
	}
	// The base is looked up by its name as it stands, which is lower-case, and only among the
	// stages before.
	if st.replaced == nil {
		if other, ok := p.named[st.base]; ok {
			st.parent = other
		}
	}
	p.stages = append(p.stages, st)
	if inst.Name != "" {
		p.named[strings.ToLower(inst.Name)] = st
	}
	return nil
}

func (st *stage) undefinedInFrom(names []string) {
	for _, n := range names {
		st.lint.Run(&linter.RuleUndefinedArgInFrom, st.inst.Location, linter.RuleUndefinedArgInFrom.Format(n, ""))
	}
}

// choose finds the target and the stages that it needs as bases.
func (p *plan) choose() error {
	p.target = p.stages[len(p.stages)-1]
	if name := p.opt.Target; name != "" {
		st, err := p.find(name)
		if err != nil {
			return err
		}
		p.target = st
	}
	for st := p.target; st != nil; st = st.parent {
		st.chain = true
	}
	return nil
}

// find returns a stage by its name or its number.
func (p *plan) find(name string) (*stage, error) {
	if st, ok := p.named[strings.ToLower(name)]; ok {
		return st, nil
	}
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= len(p.stages) {
			return nil, fmt.Errorf("%w: %d; there are %d, from 0", ErrStage, i, len(p.stages))
		}
		return p.stages[i], nil
	}
	var names []string
	for n := range p.named {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %q; no stage has a name", ErrStage, short(name, 100))
	}
	return nil, fmt.Errorf("%w: %q; there are %s", ErrStage, short(name, 100), strings.Join(names, ", "))
}

// errFrom reports variables in COPY --from, which BuildKit doesn't expand either.
var errFrom = errors.New("variables are not expanded in --from; name a stage of its own, FROM ${…} AS name")

// context returns a named build context for the name of an image or stage.
func (p *plan) context(name string) (Context, bool) {
	if strings.EqualFold(name, emptyImage) || strings.EqualFold(name, "context") {
		return Context{}, false
	}
	c, ok := p.opt.Contexts[name]
	return c, ok
}

// from returns what COPY --from names: a stage, or nil for an image or build context.
func (p *plan) from(st *stage, c *instructions.CopyCommand) (*stage, error) {
	x := p.expander(&variables{})
	e, err := x.word(c.From)
	if err != nil {
		return nil, err
	}
	if e.text != c.From {
		return nil, errFrom
	}
	var other *stage
	if i, err := strconv.Atoi(c.From); err == nil {
		if i < 0 || i >= len(p.stages) {
			return nil, fmt.Errorf("%w: %d; there are %d, from 0", ErrStage, i, len(p.stages))
		}
		other = p.stages[i]
	} else if other = p.named[strings.ToLower(c.From)]; other == nil {
		return nil, nil
	}
	if other.index >= st.index {
		return nil, fmt.Errorf("%w before this one: %q begins at line %d", ErrStage, c.From, firstLine(other.inst.Location))
	}
	return other, nil
}
