package offline

import (
	"context"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// Registry holds the merged hives of an image, in memory as far as commands change them.
type Registry struct {
	open func(hives.Name) (*regf.Hive, error)
}

// NewRegistry returns the registry of an image. Open is called when a hive is first needed
// and returns the merged hive, or fs.ErrNotExist if the image has none; a view is enough
// (hives.ChainView). The registry closes it.
func NewRegistry(open func(hives.Name) (*regf.Hive, error)) *Registry {
	return &Registry{open: open}
}

// Deltas returns the changes since the last call as differencing hives, which merged over
// the hives before equal the hives after. A hive that did not change is not in the map. The
// caller closes the results.
func (r *Registry) Deltas(ctx context.Context) (map[hives.Name]*regf.Hive, error) {
	return nil, errNotYet
}

// Hives returns, for a layer without parents, the whole hives that changed since the last
// call. The caller closes the results.
func (r *Registry) Hives(ctx context.Context) (map[hives.Name]*regf.Hive, error) {
	return nil, errNotYet
}

// Close closes the hives.
func (r *Registry) Close() error { return nil }

// userHive is the hive of the user, HKEY_CURRENT_USER, in the files of the image.
type userHive struct{}
