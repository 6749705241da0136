package image

import (
	"context"
	"errors"

	"github.com/mullion/mullion/finding"
	"github.com/mullion/mullion/hives"
)

// Kinds of answers. A number goes up with the form of the answer or with what it says.
const (
	answerVersion     = "osversion1"
	answerEnvironment = "env1"
)

// answer asks the cache, and otherwise makes the answer from hives and keeps it. One for
// which hives had harmless faults is not kept, so that they are reported every time. h are
// the hives of the image, nil if they are still to be found.
func answer[T any](ctx context.Context, i *Image, h *Hives, kind string, warn func(finding.Finding), of func(*Hives) (T, error), names ...hives.Name) (v T, err error) {
	if i.Answer(kind, &v) {
		return v, nil
	}
	if h == nil {
		var none T
		if h, err = FindHives(ctx, i.Sources(ctx), names...); err != nil {
			return none, err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
	}
	clean := true
	h.Warn = func(f finding.Finding) {
		clean = false
		if warn != nil {
			warn(f)
		}
	}
	if v, err = of(h); err == nil && clean {
		i.Keep(kind, v)
	}
	return v, err
}

// OSVersion returns the build in the merged SOFTWARE hive, which a cache keeps. warn, if not
// nil, is called with faults of hives that cannot change it; see Hives.Warn. Without a base
// hive the error is hives.ErrNoBase.
func (i *Image) OSVersion(ctx context.Context, warn func(finding.Finding)) (hives.OSVersion, error) {
	return i.osVersion(ctx, nil, warn)
}

func (i *Image) osVersion(ctx context.Context, h *Hives, warn func(finding.Finding)) (hives.OSVersion, error) {
	return answer(ctx, i, h, answerVersion, warn, func(h *Hives) (hives.OSVersion, error) { return h.OSVersion(ctx) }, hives.Software)
}

// Environment returns the environment of a process in a container of the image, which a
// cache keeps; see Hives.Environment. warn is that of OSVersion.
func (i *Image) Environment(ctx context.Context, warn func(finding.Finding)) (*hives.Env, error) {
	return i.environment(ctx, nil, warn)
}

func (i *Image) environment(ctx context.Context, h *Hives, warn func(finding.Finding)) (*hives.Env, error) {
	list, err := answer(ctx, i, h, answerEnvironment, warn, func(h *Hives) ([]hives.Variable, error) {
		env, err := h.Environment(ctx, i.config)
		if err != nil {
			return nil, err
		}
		return env.All(), nil
	}, hives.System, hives.Software, hives.Default)
	if err != nil {
		return nil, err
	}
	env := &hives.Env{}
	for _, v := range list {
		env.Set(v.Name, v.Value, v.Source)
	}
	return env, nil
}

// Examination is what the layers of an image say about it.
type Examination struct {
	Layers []*Summary // base first
	// OSVersion and Environment are those of the methods of Image, or there is an error
	// instead: a hive with which the rest can still be told.
	OSVersion      hives.OSVersion
	OSVersionErr   error
	Environment    *hives.Env
	EnvironmentErr error
}

// Examine counts the entries of every layer and reads the registry. A layer that has no index
// is read once and to its end. Of layers that all have one, hives are read only for what the
// cache has not kept. warn is that of OSVersion.
func (i *Image) Examine(ctx context.Context, warn func(finding.Finding)) (x *Examination, err error) {
	x = &Examination{}
	indexed := true
	for _, l := range i.layers {
		indexed = indexed && l.index() != nil
	}
	var h *Hives
	if indexed {
		for _, l := range i.layers {
			s, err := l.Summarize(ctx)
			if err != nil {
				return nil, err
			}
			x.Layers = append(x.Layers, s)
		}
		if !i.Answer(answerVersion, new(hives.OSVersion)) || !i.Answer(answerEnvironment, new([]hives.Variable)) {
			h, err = FindHives(ctx, i.Sources(ctx), hives.System, hives.Software, hives.Default)
		}
	} else {
		x.Layers, h, err = i.Survey(ctx)
	}
	if err != nil {
		return nil, err
	}
	if h != nil {
		defer func() { err = errors.Join(err, h.Close()) }()
	}
	x.OSVersion, x.OSVersionErr = i.osVersion(ctx, h, warn)
	x.Environment, x.EnvironmentErr = i.environment(ctx, h, warn)
	return x, ctx.Err()
}
