package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mullion/mullion/image"
	"github.com/spf13/pflag"
)

// The environment variables of the cache, which the flags override.
const (
	cacheEnv     = "MULLION_CACHE"
	cacheSizeEnv = "MULLION_CACHE_SIZE"
	cacheOff     = "off" // as MULLION_CACHE
)

// cacheFlags are the global flags of the cache.
type cacheFlags struct {
	dir string
	off bool

	opened bool
	cache  *image.Cache // nil if there is none
}

func (f *cacheFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "cache", "", "keep the indexes of layers in `DIR` (default $MULLION_CACHE, or mullion in the user's cache directory)")
	flags.BoolVar(&f.off, "no-cache", false, "neither use nor leave indexes of layers")
}

// path returns the directory of the cache, "" for none.
func (f *cacheFlags) path() (string, error) {
	dir := f.dir
	if dir == "" {
		dir = os.Getenv(cacheEnv)
		if dir == cacheOff {
			return "", nil
		}
	}
	if f.off {
		return "", nil
	}
	if dir != "" {
		return dir, nil
	}
	return image.DefaultCacheDir()
}

// limit returns the size that the cache may have in bytes.
func (f *cacheFlags) limit() (int64, error) {
	text := os.Getenv(cacheSizeEnv)
	if text == "" {
		return image.DefaultCacheSize, nil
	}
	digits, unit := text, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if d, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = strings.TrimSpace(d), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<62/unit {
		return 0, usagef("%s=%s: want a number of bytes, or one of KiB, MiB, GiB or TiB", cacheSizeEnv, text)
	}
	return n * unit, nil
}

// openCache returns the option to use the cache, or none: a cache that cannot be used is no
// reason to fail.
func (c *console) openCache() ([]image.Option, error) {
	f := &c.caching
	if !f.opened {
		f.opened = true
		limit, err := f.limit()
		if err != nil {
			return nil, err
		}
		dir, err := f.path()
		if err == nil && dir != "" {
			f.cache, err = image.OpenCache(dir, limit, func(err error) { c.notef("cache: %v", err) })
		}
		switch {
		case err != nil && f.dir != "" && !f.off:
			c.warnf("--cache %s is not used: %v", f.dir, plainCache(f.dir, err))
		case err != nil && os.Getenv(cacheEnv) != "":
			c.warnf("the cache that %s names is not used: %v", cacheEnv, err)
		case err != nil:
			c.notef("no cache: %v", err)
		}
	}
	if f.cache == nil {
		return nil, nil
	}
	return []image.Option{image.WithCache(f.cache)}, nil
}

// plainCache returns the text of an error about a directory that the message names.
func plainCache(dir string, err error) string {
	return strings.TrimPrefix(err.Error(), "cache "+dir+": ")
}

// closeCache closes the cache at the end of a command.
func (c *console) closeCache() {
	if x := c.caching.cache; x != nil {
		if err := x.Close(); err != nil {
			c.notef("cache: %v", err)
		}
	}
}

// cacheDir returns the directory of the cache for the commands about it.
func (c *console) cacheDir() (dir string, limit int64, err error) {
	if limit, err = c.caching.limit(); err != nil {
		return "", 0, err
	}
	if dir, err = c.caching.path(); err != nil {
		return "", 0, hintf(fmt.Errorf("cache: %w", err), "--cache DIR names the directory")
	}
	if dir == "" {
		return "", 0, usagef("there is no cache: --no-cache, or %s=%s", cacheEnv, cacheOff)
	}
	return dir, limit, nil
}
