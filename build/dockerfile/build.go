package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/build/internal/content"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// historyComment marks the entries of the history that this package writes.
const historyComment = "mullion.dockerfile.v0"

// Build carries out a Dockerfile and writes the image of its target stage to Options.Output.
// Nothing is written there before all is known to be good: an error leaves nothing behind. The
// caller closes the directories in the options.
//
// An error in the Dockerfile, or in carrying it out, is an *Error with its place.
func Build(ctx context.Context, opt Options) (r *Result, err error) {
	if opt.Name == "" {
		opt.Name = "Dockerfile"
	}
	b := &builder{opt: &opt, images: map[imageKey]*opened{}, contexts: map[string]*content.Context{}}
	defer func() { err = errors.Join(err, b.Close()) }()
	src, err := readSource(opt.Name, opt.Dockerfile, b.warn)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(src, &opt)
	if err != nil {
		return nil, err
	}
	if err := p.target.build(ctx, b); err != nil {
		return nil, err
	}
	if err := p.target.checkVolumes(ctx); err != nil {
		return nil, err
	}
	if err := src.lint.Error(); err != nil {
		return nil, fmt.Errorf("%s: %w", opt.Name, err)
	}
	return p.target.write(ctx)
}

// checkVolumes refuses a volume at a directory that is not empty: Windows would not start a
// container with it.
func (st *stage) checkVolumes(ctx context.Context) error {
	if len(st.volumes) == 0 {
		return nil
	}
	tree, err := st.tree(ctx)
	if err != nil {
		return err
	}
	for _, v := range st.volumes {
		item, err := tree.Lookup(v.path.layer())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && item.Kind != layer.Dir {
			err = fmt.Errorf("volume %v %w", v.path, errNotDirectory)
		}
		if err == nil {
			for child, e := range tree.Children(v.path.layer()) {
				if err = e; err == nil {
					_, name := splitLast(child.Path)
					err = fmt.Errorf("%w: the directory %v has files, %s for one: Windows mounts a volume at a directory that is empty or absent", ErrUnsupported, v.path, short(name, 100))
				}
				break
			}
		}
		if err != nil {
			return st.src.at(v.at, v.text, err)
		}
	}
	return nil
}

func splitLast(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '\\')
	return path[:max(i, 0)], path[i+1:]
}

// write makes the image of the target stage.
func (st *stage) write(ctx context.Context) (r *Result, err error) {
	var base *image.Image
	opts := st.opt.Image
	if st.img != nil {
		base = st.img.Image
	} else if st.opt.Platform.OS != "" {
		opts = append(opts[:len(opts):len(opts)], image.WithPlatform(st.opt.Platform))
	}
	a, err := image.NewAssembly(base, opts...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	r = &Result{Base: len(a.Layers())}
	created := st.created()
	total := 0
	for _, s := range st.steps {
		if s.draft != nil {
			total++
		}
	}
	for _, s := range st.steps {
		h := ocispec.History{Created: created, CreatedBy: s.createdBy, Comment: historyComment}
		if s.draft == nil {
			h.EmptyLayer = true
			if err := a.AddHistory(h); err != nil {
				return nil, err
			}
			continue
		}
		st.builder.progress(Step{Stage: "layer", Index: len(r.Layers) + 1, Total: total, Instruction: s.instruction})
		content, err := s.draft.Layer()
		if err != nil {
			return nil, st.src.at(s.at, "", err)
		}
		made, err := a.AddLayer(ctx, content, blob.Gzip, &h)
		if err != nil {
			return nil, st.src.at(s.at, "", err)
		}
		r.Layers = append(r.Layers, Layer{s.instruction, firstLine(s.at), made.DiffID, made.Descriptor.Digest, made.Descriptor.Size})
	}
	if err := st.configure(a, created); err != nil {
		return nil, err
	}
	img, err := a.Image()
	if err != nil {
		return nil, err
	}
	r.Config = img.Manifest().Config.Digest
	var how []image.Option
	if st.opt.Replace {
		how = append(how, image.WithForce())
	}
	done, err := a.Write(ctx, st.opt.Output, how...)
	if err != nil {
		return nil, err
	}
	r.Copied = *done
	return r, nil
}

// created returns the time of the image, nil if nothing says it.
func (st *stage) created() *time.Time {
	if t := st.opt.Epoch; !t.IsZero() {
		t = t.UTC().Truncate(time.Second)
		return &t
	}
	if st.img != nil {
		return st.img.Config().Created
	}
	return nil
}

// configure writes the documents of the image. Members that the Dockerfile has not changed
// stay as the base image has them, those too that this package doesn't know.
func (st *stage) configure(a *image.Assembly, created *time.Time) error {
	var old dockerspec.DockerOCIImageConfig
	if _, err := a.ConfigMember(&old, "config"); err != nil {
		return err
	}
	if len(st.opt.Labels) > 0 && st.config.Labels == nil {
		st.config.Labels = map[string]string{}
	}
	for k, v := range st.opt.Labels {
		st.config.Labels[k] = v
	}
	was, is := reflect.ValueOf(old), reflect.ValueOf(st.config)
	var errs []error
	var escaped bool
	setMembers(was, is, func(name string, v any) { errs = append(errs, a.SetConfig(name, v, "config")) })
	switch _, err := a.ConfigMember(&escaped, "ArgsEscaped", "config"); {
	case err != nil:
		errs = append(errs, err)
	case st.escaped:
		errs = append(errs, a.SetConfig("ArgsEscaped", true, "config"))
	case escaped:
		errs = append(errs, a.SetConfig("ArgsEscaped", nil, "config"))
	}
	if st.author != "" {
		errs = append(errs, a.SetConfig("author", st.author))
	}
	if created != nil {
		errs = append(errs, a.SetConfig("created", created))
	}
	if st.img != nil {
		errs = append(errs, a.Annotate(ocispec.AnnotationBaseImageDigest, string(st.img.Digest())))
		name := "" // that of the base's own base is removed
		if st.img.Reference().Transport == image.Registry {
			name = st.img.Reference().Path
		}
		errs = append(errs, a.Annotate(ocispec.AnnotationBaseImageName, name))
	}
	return errors.Join(errs...)
}

// setMembers calls set for each member of a structure that differs, by its name in JSON. A
// member with its zero value is nil: it is removed.
func setMembers(was, is reflect.Value, set func(name string, v any)) {
	for i := range is.NumField() {
		f := is.Type().Field(i)
		if f.Anonymous {
			setMembers(was.Field(i), is.Field(i), set)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			continue
		}
		v := is.Field(i)
		if k := v.Kind(); v.IsZero() || (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
			set(name, nil)
			continue
		}
		set(name, v.Interface())
	}
}
