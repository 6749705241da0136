package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"
	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/inventory"
	"github.com/mullion/mullion/winfs"
)

func init() { inventory.RegisterLanguages(Catalogers) }

const (
	maxText   = 10 << 20 // of a file that an extractor reads as a whole, in bytes
	maxBinary = 1 << 30  // of another file
	perFile   = time.Minute
	// maxKept is the number of paths that a cataloger keeps for its end.
	maxKept = 100_000
	// maxOf is the number of packages of one file.
	maxOf = 100_000
)

// rules are what the extractors don't tell of themselves.
type rules struct {
	maxSize int64
	exts    []string // in lower case; nil for all that the extractor requires
	// around says that the extractor opens files beside the one that it is given.
	around bool
	// own says that these are files that it requires too.
	own bool
	// extract takes the place of the extractor's own function if it is not nil.
	extract func(context.Context, filesystem.Extractor, *filesystem.ScanInput) ([]*extractor.Package, error)
}

// Cataloger returns a cataloger that runs an extractor of SCALIBR on the files that it
// requires. Its name is that of the extractor. Paths are those below C:\, with slashes; the
// file system of an extractor is the whole image, with files that implement io.ReaderAt.
//
// FileRequired is asked with the spelling of the image, then with the path in lower case, since
// extractors compare names by case and Windows does not; the mode of a file is 0444.
func Cataloger(e filesystem.Extractor) inventory.Cataloger {
	r, known := ruleOf[e.Name()]
	if !known {
		r = rules{maxSize: maxText, around: true}
	}
	return &cataloger{e: e, rules: r, large: map[string]int64{}}
}

type cataloger struct {
	e filesystem.Extractor
	rules
	later []keptFile       // files that wait for the whole system
	kept  *tempfile.File   // their contents
	end   int64            // of kept, in bytes
	large map[string]int64 // files above the limit, and their sizes
	lost  int              // files above maxKept or maxBinary
}

// Name implements inventory.Cataloger.
func (c *cataloger) Name() string { return c.e.Name() }

// drive is the directory of a layer that is the C: drive.
const drive = `Files\`

// nameOf is the name below C:\ of a path in a layer.
func nameOf(p string) (string, bool) {
	if len(p) <= len(drive) || !strings.EqualFold(p[:len(drive)], drive) {
		return "", false
	}
	return slashed(p), true
}

// slashed is the name below C:\ of a path in Files.
func slashed(p string) string {
	return strings.ReplaceAll(winfs.EscapeFSName(p[len(drive):]), `\`, "/")
}

// required returns the name under which the extractor requires a file.
func (c *cataloger) required(p string, size int64) (name string, ok bool) {
	name, ok = nameOf(p)
	if !ok || c.exts != nil && !slices.Contains(c.exts, strings.ToLower(path.Ext(name))) {
		return "", false
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if c.exts != nil {
		return name, true
	}
	for _, n := range []string{name, strings.ToLower(name)} {
		if c.e.FileRequired(fileOf{n, size}) {
			return n, true
		}
	}
	return "", false
}

// Wants implements inventory.Cataloger.
func (c *cataloger) Wants(p string, size int64) bool {
	_, ok := c.required(p, size)
	if ok && size > c.maxSize {
		if len(c.large) < maxKept {
			c.large[p] = size
		}
		return false
	}
	return ok
}

// CatalogFile implements inventory.FileCataloger.
func (c *cataloger) CatalogFile(ctx context.Context, f *inventory.File) iter.Seq2[inventory.Component, error] {
	return func(yield func(inventory.Component, error) bool) {
		name, ok := c.required(f.Path, f.Size)
		switch {
		case !ok:
		case !c.around:
			c.yield(ctx, noFiles{}, name, f.Path, f.Size, f.Content, yield)
		case len(c.later) < maxKept && c.end+f.Size <= maxBinary:
			if err := c.keep(ctx, f); err != nil {
				yield(inventory.Component{}, inventory.Skip(inventory.FileEvidence(f.Path), err))
			}
		default:
			c.lost++
		}
	}
}

// Catalog implements inventory.Cataloger: it catalogs the files that need others.
func (c *cataloger) Catalog(ctx context.Context, s inventory.System) iter.Seq2[inventory.Component, error] {
	return func(yield func(inventory.Component, error) bool) {
		all := systemFS{ctx: ctx, s: s, cataloger: c}
		if c.kept != nil {
			defer c.kept.Close()
		}
		for _, p := range slices.Sorted(maps.Keys(c.large)) {
			// Wants may be asked for hidden files too.
			if s.Layer(below(slashed(p))) < 0 {
				continue
			}
			err := fmt.Errorf("%d bytes, the limit of %s is %d", c.large[p], c.e.Name(), c.maxSize)
			if !yield(inventory.Component{}, inventory.Skip(inventory.FileEvidence(p), err)) {
				return
			}
		}
		slices.SortFunc(c.later, func(a, b keptFile) int { return strings.Compare(a.path, b.path) })
		for _, f := range c.later {
			name, _ := c.required(f.path, f.size)
			if !c.yield(ctx, all, name, f.path, f.size, c.contentOf(f), yield) {
				return
			}
		}
		if c.lost > 0 {
			yield(inventory.Component{}, fmt.Errorf("%d files are left out: %s reads at most %d files of %d bytes in all", c.lost, c.e.Name(), maxKept, maxBinary))
		}
	}
}

// yield catalogs one file.
func (c *cataloger) yield(ctx context.Context, all allFiles, name, p string, size int64, content io.ReaderAt, yield func(inventory.Component, error) bool) bool {
	where := inventory.FileEvidence(p)
	ctx, cancel := context.WithTimeoutCause(ctx, perFile, fmt.Errorf("%s took more than %v", c.e.Name(), perFile))
	defer cancel()
	packages, err := c.run(ctx, &filesystem.ScanInput{FS: all, Path: name, Info: infoOf{name, size}, Reader: newReader(ctx, content, size)})
	if len(packages) > maxOf {
		packages, err = packages[:maxOf], errors.Join(err, fmt.Errorf("more than %d packages; the rest is left out", maxOf))
	}
	var found []inventory.Component
	for _, x := range packages {
		if x == nil || x.Name == "" {
			continue
		}
		found = append(found, c.component(x, name, p))
	}
	// The order of some extractors is that of a map.
	slices.SortFunc(found, func(a, b inventory.Component) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.PURL, b.PURL),
			cmp.Compare(a.Property(archivePath), b.Property(archivePath)))
	})
	found = slices.CompactFunc(found, func(a, b inventory.Component) bool {
		return a.Name == b.Name && a.Version == b.Version && a.PURL == b.PURL && a.Property(archivePath) == b.Property(archivePath)
	})
	for _, x := range found {
		if !yield(x, nil) {
			return false
		}
	}
	return err == nil || yield(inventory.Component{}, inventory.Skip(where, err))
}

// run calls the extractor, whose panic is an error.
func (c *cataloger) run(ctx context.Context, in *filesystem.ScanInput) (packages []*extractor.Package, err error) {
	defer func() {
		if r := recover(); r != nil {
			packages, err = nil, fmt.Errorf("%s failed: %v", c.e.Name(), r)
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
	}()
	if c.extract != nil {
		return c.extract(ctx, c.e, in)
	}
	found, err := c.e.Extract(ctx, in)
	return found.Packages, err
}

// archivePath is the property with the place of a package inside an archive.
const archivePath = "archivePath"

// component is the component of a package in the file name, whose path in the layer is p.
func (c *cataloger) component(x *extractor.Package, name, p string) inventory.Component {
	x.Name, x.Version = valid(x.Name), valid(x.Version)
	out := inventory.Component{Kind: inventory.Library, Name: x.Name, Version: x.Version, Evidence: inventory.FileEvidence(p)}
	if x.PURLType == purl.TypeChocolatey {
		out.Kind = inventory.Program
	}
	if u := x.PURL(); u != nil && u.Name != "" {
		if u.Type == purl.TypeNPM {
			// How SCALIBR found a package is in FoundBy, and no part of its name.
			for i := range u.Qualifiers {
				if u.Qualifiers[i].Key == purl.Source {
					u.Qualifiers = slices.Delete(u.Qualifiers, i, i+1)
					break
				}
			}
		}
		out.PURL = valid(u.String())
	}
	for _, l := range x.Licenses {
		out.Licenses = append(out.Licenses, valid(l))
	}
	if at, ok := strings.CutPrefix(x.Location.PathOrEmpty(), name+"/"); ok {
		out.SetProperty(archivePath, valid(at))
	}
	return out
}

// valid replaces bytes that are not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
