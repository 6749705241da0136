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
// which hives had harmless faults is not kept, so that they are reported every time.
func answer[T any](ctx context.Context, i *Image, kind string, warn func(finding.Finding), of func(*Hives) (T, error), names ...hives.Name) (v T, err error) {
	if i.Answer(kind, &v) {
		return v, nil
	}
	h, err := FindHives(ctx, i.Sources(ctx), names...)
	if err != nil {
		var none T
		return none, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
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
	return answer(ctx, i, answerVersion, warn, func(h *Hives) (hives.OSVersion, error) { return h.OSVersion(ctx) }, hives.Software)
}

// Environment returns the environment of a process in a container of the image, which a
// cache keeps; see Hives.Environment. warn is that of OSVersion.
func (i *Image) Environment(ctx context.Context, warn func(finding.Finding)) (*hives.Env, error) {
	list, err := answer(ctx, i, answerEnvironment, warn, func(h *Hives) ([]hives.Variable, error) {
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
