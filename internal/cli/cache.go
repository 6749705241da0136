package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/cache"
	"github.com/spf13/cobra"
)

func newCacheCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show or clear what is kept of the layers of images",
		Long: `Show or clear the cache. A command that reads a layer of an image to its end
leaves an index of it there: the names and metadata of its files, hashes of
their content, and access points into the compressed blob. From then on ls, cat,
diff, blame, inspect, os-version, env, sbom and updates answer from the index
and read from the layer only the bytes that they print, compared with hashes in
the index. Answers about an image are kept too: its build, its environment, its
software, and the names of its merged tree, in which ls and cat look up theirs.

The directory is mullion in the user's cache directory ($XDG_CACHE_HOME, else
~/.cache), or the one that --cache or $MULLION_CACHE names; MULLION_CACHE=off is
--no-cache. It is private to the user. $MULLION_CACHE_SIZE bounds its size (2GiB
unless set); what was not used for the longest time is removed first. What is
damaged is made again, and everything may be deleted at any time.`,
	}
	cmd.AddCommand(newCacheInfoCommand(c), newCacheClearCommand(c))
	return cmd
}

// cacheInfo is printed by cache info --json, cacheCleared by cache clear --json.
type cacheInfo struct {
	Path  string       `json:"path"`
	Limit int64        `json:"limit"`
	Size  int64        `json:"size"`
	Files []cachedFile `json:"files"`
}

type cachedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Used string `json:"used"`
}

type cacheCleared struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Size  int64  `json:"size"`

	Left []string `json:"left,omitempty"` // names of what is not of the cache
}

// listed returns the first of a list and the number of the others.
func listed(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// existing opens a cache that exists; nil if there is none.
func existingCache(dir string, limit int64) (*cache.Dir, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	d, err := cache.Open(dir, limit)
	if errors.Is(err, cache.ErrForeign) {
		err = hintf(err, "chmod 700 %s, if it is yours", dir)
	}
	return d, err
}

func newCacheInfoCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Print where the cache is and what it holds",
		Long: `Print the directory of the cache, the number and size of the indexes and answers
in it, and the size that it may have. --json lists the files, with the time of
their last use.`,
		Example: `  mullion cache info
  mullion cache info --json | jq -r '.files[].name'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, limit, err := c.cacheDir()
			if err != nil {
				return err
			}
			d, err := existingCache(dir, limit)
			if err != nil {
				return err
			}
			info := cacheInfo{Path: dir, Limit: limit, Files: []cachedFile{}}
			indexes := 0
			if d != nil {
				defer d.Close()
				list, err := d.Files()
				if err != nil {
					return err
				}
				for _, f := range list {
					info.Size += f.Size
					info.Files = append(info.Files, cachedFile{f.Name, f.Size, f.Used.UTC().Format(time.RFC3339)})
					if strings.HasSuffix(f.Name, ".index") {
						indexes++
					}
				}
			}
			if c.json {
				return c.printJSON(info)
			}
			return c.printf("%s: %s, %s, %s of %s\n", dir, counted(indexes, "index"), counted(len(info.Files)-indexes, "answer"), c.size(info.Size), c.size(limit))
		},
	}
	c.addBytes(cmd)
	return cmd
}

func newCacheClearCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "Remove everything from the cache",
		Long: `Remove all indexes and answers from the cache, and what killed processes have
left in it. The directory itself stays, and so does what is not of the cache: it
is named in a warning.`,
		Example: `  mullion cache clear
  mullion cache clear --cache /var/tmp/mullion`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, limit, err := c.cacheDir()
			if err != nil {
				return err
			}
			d, err := existingCache(dir, limit)
			if err != nil {
				return err
			}
			done := cacheCleared{Path: dir}
			if d != nil {
				defer d.Close()
				if done.Files, done.Size, err = d.Clear(); err != nil {
					return err
				}
				if done.Left, err = d.Foreign(); err != nil {
					return err
				}
				if len(done.Left) > 0 {
					c.warnf("%s: left what is not of the cache: %s", dir, listed(done.Left, 5))
				}
			}
			if c.json {
				return c.printJSON(done)
			}
			return c.printf("%s: %s removed, %s\n", dir, counted(done.Files, "file"), c.size(done.Size))
		},
	}
	c.addBytes(cmd)
	return cmd
}
