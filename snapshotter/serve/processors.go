package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/mullion/mullion/snapshotter"
)

// ContainerdConfigFile is the default path of containerd's configuration.
const ContainerdConfigFile = "/etc/containerd/config.toml"

// maxConfig bounds a configuration file in bytes, maxImports the files that one imports.
const (
	maxConfig  = 1 << 20
	maxImports = 256
)

// ReadProcessors returns the stream processors of containerd's configuration in a file and
// those that it imports, sorted by their names. Of two of one name the one that is
// imported later counts, as in containerd. A file that does not exist is an error that
// matches fs.ErrNotExist.
func ReadProcessors(file string) ([]snapshotter.Processor, error) {
	c := processorConfig{found: map[string]snapshotter.Processor{}, seen: map[string]bool{}}
	if err := c.read(file); err != nil {
		return nil, err
	}
	var list []snapshotter.Processor
	for _, p := range c.found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b snapshotter.Processor) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list, nil
}

type processorConfig struct {
	found map[string]snapshotter.Processor
	seen  map[string]bool
}

func (c *processorConfig) read(file string) error {
	name, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if c.seen[name] {
		return nil
	}
	if len(c.seen) >= maxImports {
		return fmt.Errorf("%s: more than %d files are imported", file, maxImports)
	}
	c.seen[name] = true
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return err
	}
	if len(b) > maxConfig {
		return fmt.Errorf("%s: more than %d bytes", file, maxConfig)
	}
	var config struct {
		Imports    []string `toml:"imports"`
		Processors map[string]struct {
			Accepts []string `toml:"accepts"`
			Returns string   `toml:"returns"`
			Path    string   `toml:"path"`
			Args    []string `toml:"args"`
			Env     []string `toml:"env"`
		} `toml:"stream_processors"`
	}
	if err := toml.Unmarshal(b, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for id, p := range config.Processors {
		if p.Path == "" || p.Returns == "" || len(p.Accepts) == 0 {
			return fmt.Errorf("%s: stream processor %q needs accepts, returns and path", file, id)
		}
		c.found[id] = snapshotter.Processor{ID: id, Accepts: p.Accepts, Returns: p.Returns, Path: p.Path, Args: p.Args, Env: p.Env}
	}
	for _, pattern := range config.Imports {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(name), pattern)
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("%s: import %q: %w", file, pattern, err)
		}
		for _, m := range matches {
			if err := c.read(m); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
