package image

import (
	"encoding/json"
	"fmt"
)

// replaceMembers replaces members of a JSON document, or of the object in it that a path
// leads to, and keeps all others; a nil value removes the member. The members of the changed
// objects are sorted.
func replaceMembers(raw []byte, members map[string]any, path ...string) ([]byte, error) {
	var object map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrManifest, err)
		}
	}
	if object == nil {
		object = map[string]json.RawMessage{}
	}
	if len(path) > 0 {
		inner, err := replaceMembers(object[path[0]], members, path[1:]...)
		if err != nil {
			return nil, err
		}
		object[path[0]] = inner
		return json.Marshal(object)
	}
	for name, v := range members {
		if v == nil {
			delete(object, name)
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		object[name] = b
	}
	return json.Marshal(object)
}

// member returns a member of a JSON document, or of the object in it that a path leads to,
// nil if it is absent or null.
func member(raw []byte, name string, path ...string) (json.RawMessage, error) {
	for _, step := range append(path[:len(path):len(path)], name) {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrManifest, err)
		}
		if raw = object[step]; raw == nil || string(raw) == "null" {
			return nil, nil
		}
	}
	return raw, nil
}
