package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/winfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Rebase puts the layers that an image has above the base old on the base from: another
// version of it, such as that of the next month. The layers of the image must begin with those
// of old, by diff ID; the error is a [BaseError] that shows where they part. The blobs of the
// kept layers stay as they are.
//
// The platform, with os.version, becomes that of the new base. A member of the configuration
// that the image has from the old base, variables, labels, ports and volumes each on their own,
// becomes that of the new one; what the image has set stays. So a PATH that the image has
// extended keeps the part that came from the old base. The history is that of the new base and
// then what the image has above the old one.
//
// The kept layers are not looked at. They can contradict the new base: a hard link to a file
// that it does not have, a changed file that belongs to an update of the old base, registry
// deltas that suppose keys of it. The check of the result finds the links. Both bases stay open
// until the assembly is closed.
func Rebase(a *image.Assembly, old, from *image.Image) error {
	layers := a.Layers()
	for n, l := range old.Layers() {
		if n >= len(layers) {
			return &BaseError{Layer: n, Want: l.DiffID}
		}
		if l.DiffID != layers[n].DiffID {
			return &BaseError{Layer: n, Want: l.DiffID, Got: layers[n].DiffID}
		}
	}
	was, is := old.Platform(), from.Platform()
	if was.OS != is.OS || was.Architecture != is.Architecture {
		return fmt.Errorf("%w: %v, the old one is for %v", ErrPlatform, is, was)
	}
	oldDoc, err := parseDocument(old.RawConfig())
	if err != nil {
		return err
	}
	newDoc, err := parseDocument(from.RawConfig())
	if err != nil {
		return err
	}
	own, err := ownHistory(a.History(), oldDoc.History, len(old.Layers()))
	if err != nil {
		return err
	}
	config, err := rebased(a, oldDoc.Config, newDoc.Config)
	if err != nil {
		return err
	}
	if err := a.Truncate(0); err != nil {
		return err
	}
	for _, l := range slices.Concat(from.Layers(), layers[len(old.Layers()):]) {
		if err := a.KeepLayer(l, nil); err != nil {
			return err
		}
	}
	if history := slices.Concat(newDoc.History, own); len(history) > 0 {
		a.SetHistory(history)
	}
	for _, name := range []string{"os", "architecture", "variant", "os.version", "os.features"} {
		if err := setRaw(a, name, newDoc.members[name]); err != nil {
			return err
		}
	}
	if err := setRaw(a, "config", config); err != nil {
		return err
	}
	if err := a.Annotate(ocispec.AnnotationBaseImageDigest, string(from.Digest())); err != nil {
		return err
	}
	name := ""
	if ref := from.Reference(); ref.Transport == image.Registry { // a path is of this machine alone
		name = ref.Path
	}
	return a.Annotate(ocispec.AnnotationBaseImageName, name)
}

func setRaw(a *image.Assembly, name string, raw json.RawMessage) error {
	if raw == nil {
		return a.SetConfig(name, nil)
	}
	return a.SetConfig(name, raw)
}

// document is a configuration with everything that it has.
type document struct {
	members map[string]json.RawMessage
	Config  map[string]json.RawMessage
	History []json.RawMessage
}

func parseDocument(raw []byte) (d document, err error) {
	if err = json.Unmarshal(raw, &d.members); err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		err = fmt.Errorf("%w: %v", image.ErrManifest, err)
	}
	return d, err
}

// ownHistory returns the entries of a history above those of a base: behind the same entries as
// the base has, and if it has others, behind as many as it has layers.
func ownHistory(all, base []json.RawMessage, layers int) ([]json.RawMessage, error) {
	if len(base) > 0 && len(all) >= len(base) && slices.EqualFunc(all[:len(base)], base, sameJSON) {
		return all[len(base):], nil
	}
	for n, raw := range all {
		if layers == 0 {
			return all[n:], nil
		}
		var h ocispec.History
		if err := json.Unmarshal(raw, &h); err != nil {
			return nil, fmt.Errorf("%w: history: %v", image.ErrManifest, err)
		}
		if !h.EmptyLayer {
			layers--
		}
	}
	return nil, nil
}

// rebased returns the member config of a configuration: what the image has from the old base is
// replaced by what the new one has.
func rebased(a *image.Assembly, old, from map[string]json.RawMessage) (json.RawMessage, error) {
	var own map[string]json.RawMessage
	if _, err := a.ConfigMember(&own, "config"); err != nil {
		return nil, err
	}
	if own == nil && from == nil {
		return nil, nil
	}
	merged := inherit(own, old, from)
	for _, name := range []string{"Labels", "ExposedPorts", "Volumes"} {
		var o, b, n map[string]json.RawMessage
		for raw, to := range map[*json.RawMessage]*map[string]json.RawMessage{ptr(own[name]): &o, ptr(old[name]): &b, ptr(from[name]): &n} {
			if err := decode(*raw, name, to); err != nil {
				return nil, err
			}
		}
		if m := inherit(o, b, n); len(m) > 0 {
			raw, err := json.Marshal(m)
			if err != nil {
				return nil, err
			}
			merged[name] = raw
		} else {
			delete(merged, name)
		}
	}
	env, err := rebasedEnv(own["Env"], old["Env"], from["Env"])
	if err != nil {
		return nil, err
	}
	if delete(merged, "Env"); env != nil {
		merged["Env"] = env
	}
	return json.Marshal(merged)
}

func ptr[T any](v T) *T { return &v }

func decode(raw json.RawMessage, name string, v any) error {
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %s: %v", image.ErrManifest, name, err)
	}
	return nil
}

// inherit returns the members of own, but for one that is as in old that of from.
func inherit(own, old, from map[string]json.RawMessage) map[string]json.RawMessage {
	merged := maps.Clone(own)
	if merged == nil {
		merged = map[string]json.RawMessage{}
	}
	for _, m := range []map[string]json.RawMessage{old, from} {
		for name := range m {
			if !sameJSON(own[name], old[name]) {
				continue
			}
			if delete(merged, name); from[name] != nil {
				merged[name] = from[name]
			}
		}
	}
	return merged
}

// sameJSON reports whether two members have equal values; an absent one is null.
func sameJSON(a, b json.RawMessage) bool {
	canonical := func(raw json.RawMessage) []byte {
		if raw == nil {
			return []byte("null")
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return raw
		}
		out, err := json.Marshal(v) // sorts the members of objects
		if err != nil {
			return raw
		}
		return out
	}
	return bytes.Equal(a, b) || bytes.Equal(canonical(a), canonical(b))
}

// rebasedEnv is inherit for variables: those of the new base in its order, then those that only
// the image has.
func rebasedEnv(own, old, from json.RawMessage) (json.RawMessage, error) {
	var o, b, n []string
	for _, x := range []struct {
		raw json.RawMessage
		to  *[]string
	}{{own, &o}, {old, &b}, {from, &n}} {
		if err := decode(x.raw, "Env", x.to); err != nil {
			return nil, err
		}
	}
	find := func(list []string, e string) string {
		for _, x := range list {
			if winfs.EqualFold(variable(x), variable(e)) {
				return x
			}
		}
		return ""
	}
	var env []string
	for _, e := range n {
		mine, theirs := find(o, e), find(b, e)
		switch {
		case mine == theirs:
			env = append(env, e)
		case mine != "":
			env = append(env, mine)
		} // else the image has removed it
	}
	for _, e := range o {
		if find(n, e) == "" && find(b, e) != e {
			env = append(env, e)
		}
	}
	if env == nil {
		return nil, nil
	}
	return json.Marshal(env)
}
