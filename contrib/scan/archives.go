package scan

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/inventory/location"
	"go.uber.org/multierr"
)

const (
	// maxDirectory bounds the bytes that are read for the directory of an archive. Its
	// entries take five times as much memory.
	maxDirectory = 16 << 20
	// maxUnpacked bounds the bytes of all archives in an archive.
	maxUnpacked = 2 << 30
	// maxDepth is the number of archives around a package.
	maxDepth = 8
)

// newJava makes SCALIBR's extractor for one archive without those in it, which it would read
// into memory. It does not make packages named "unknown" of archives without a name.
func newJava(*cpb.PluginConfig) (filesystem.Extractor, error) {
	own := &cpb.JavaArchiveConfig{MaxZipDepth: 1, HashJars: new(bool)}
	return archive.New(&cpb.PluginConfig{PluginSpecific: []*cpb.PluginSpecificConfig{
		{Config: &cpb.PluginSpecificConfig_JavaArchive{JavaArchive: own}},
	}})
}

// extractJava finds the packages of an archive and of the archives in it.
func extractJava(ctx context.Context, e filesystem.Extractor, in *filesystem.ScanInput) ([]*extractor.Package, error) {
	left := int64(maxUnpacked)
	return extractNested(ctx, e, in, 1, &left)
}

func extractNested(ctx context.Context, e filesystem.Extractor, in *filesystem.ScanInput, depth int, left *int64) ([]*extractor.Package, error) {
	z, err := openArchive(in, "manifest.mf", "pom.properties")
	if err != nil {
		return nil, err
	}
	found, err := e.Extract(ctx, in)
	packages := found.Packages
	for _, x := range packages {
		at := location.FromPath(in.Path)
		x.Location.Descriptor = &at
	}
	err = withoutDepth(err)
	for _, f := range z.File {
		if ctx.Err() != nil {
			return packages, context.Cause(ctx)
		}
		if !archive.IsArchive(f.Name) || f.FileInfo().IsDir() {
			continue
		}
		if depth == maxDepth {
			return packages, errors.Join(err, fmt.Errorf("%s: more than %d archives in each other", f.Name, maxDepth))
		}
		inner, innerErr := extractMember(ctx, e, in, f, depth, left)
		packages = append(packages, inner...)
		if innerErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", f.Name, innerErr))
		}
		if errors.Is(innerErr, errUnpacked) || len(packages) > maxOf {
			break
		}
	}
	return packages, err
}

var errUnpacked = fmt.Errorf("the archives in it have more than %d bytes", int64(maxUnpacked))

// extractMember finds the packages of an archive in an archive.
func extractMember(ctx context.Context, e filesystem.Extractor, in *filesystem.ScanInput, f *zip.File, depth int, left *int64) ([]*extractor.Package, error) {
	// The reader of a member returns no more than its stated size.
	if f.UncompressedSize64 > uint64(*left) {
		return nil, errUnpacked
	}
	size := int64(f.UncompressedSize64)
	*left -= size
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := spool(ctx, r, size)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	name := in.Path + "/" + f.Name
	return extractNested(ctx, e, &filesystem.ScanInput{FS: in.FS, Path: name, Info: infoOf{name, size}, Reader: newReader(ctx, content, size)}, depth+1, left)
}

// withoutDepth removes the errors that SCALIBR returns for each archive in an archive.
func withoutDepth(err error) error {
	if err == nil {
		return nil
	}
	list := multierr.Errors(errors.Unwrap(err))
	if len(list) == 0 {
		return err
	}
	var rest []error
	for _, x := range list {
		if !strings.Contains(x.Error(), "reached max zip depth") {
			rest = append(rest, x)
		}
	}
	return errors.Join(rest...)
}

// extractWheel finds the package of a wheel or egg, packed or not.
func extractWheel(ctx context.Context, e filesystem.Extractor, in *filesystem.ScanInput) ([]*extractor.Package, error) {
	if strings.HasSuffix(in.Path, ".whl") || strings.HasSuffix(in.Path, ".egg") {
		if _, err := openArchive(in, "metadata", "pkg-info"); err != nil {
			return nil, err
		}
	} else if size := in.Info.Size(); size > maxText {
		return nil, fmt.Errorf("%d bytes, the limit of a file of metadata is %d", size, maxText)
	}
	found, err := e.Extract(ctx, in)
	return found.Packages, err
}

// openArchive opens a ZIP archive whose directory is of bounded size, as are the members with
// the given names, in lower case, which an extractor reads as a whole.
func openArchive(in *filesystem.ScanInput, whole ...string) (*zip.Reader, error) {
	r := &directoryReader{in.Reader.(io.ReaderAt), maxDirectory}
	z, err := zip.NewReader(r, in.Info.Size())
	if err != nil {
		return nil, err
	}
	r.left = math.MaxInt // the members are bounded by their sizes
	for _, f := range z.File {
		for _, name := range whole {
			if strings.EqualFold(path.Base(f.Name), name) && f.UncompressedSize64 > maxText {
				return nil, fmt.Errorf("%s: %d bytes, the limit of a file of metadata is %d", f.Name, f.UncompressedSize64, maxText)
			}
		}
	}
	return z, nil
}

// directoryReader reads a bounded number of bytes.
type directoryReader struct {
	io.ReaderAt
	left int
}

func (r *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if r.left -= len(p); r.left < 0 {
		return 0, fmt.Errorf("the directory of the archive has more than %d bytes", maxDirectory)
	}
	return r.ReaderAt.ReadAt(p, off)
}
