package offline

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/mullion/mullion/internal/tempfile"
	"github.com/mullion/mullion/winfs"
)

const (
	// maxArchive is the default of Container.MaxArchive.
	maxArchive = 16 << 30
	// maxArchiveNames bounds the files of one archive.
	maxArchiveNames = 1 << 20
)

// extracted is a file of an archive, in a temporary file that the container keeps open.
type extracted struct {
	f          *tempfile.File
	from, size int64
}

// Size returns the number of bytes.
func (e extracted) Size() int64 { return e.size }

// Open returns a reader of the bytes.
func (e extracted) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(e.f, e.from, e.size)), nil
}

// Close ends the temporary files that hold what archives brought. The files of the container
// cannot be read any more then.
func (c *Container) Close() error {
	var errs []error
	for _, f := range c.temp {
		errs = append(errs, f.Close())
	}
	c.temp = nil
	return errors.Join(errs...)
}

// psExpandArchive is Expand-Archive.
func psExpandArchive(p *power, c *cmdletCall) ([]value, error) {
	list, err := p.pathArgument(c)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 || list[0].key != "" || hasPattern(list[0].t.s) {
		return nil, notOffline(c.name, "one archive")
	}
	src := list[0].t
	from, err := p.file(src, true)
	if err != nil {
		return nil, err
	}
	it, err := p.s.find(from)
	if missing(err) || err == nil && it.dir() {
		return nil, failf("The path '%s' either does not exist or is not a valid file system path.", src.s)
	}
	if err != nil {
		return nil, placed(src, err)
	}
	if !strings.EqualFold(path.Ext(strings.ReplaceAll(from, `\`, "/")), ".zip") {
		return nil, failf("%s is not a supported archive file format. .zip is the only supported archive file format.", src.s)
	}
	_, stem := winfs.SplitPath(from)
	to := winfs.JoinPath(p.s.cwd, stem[:len(stem)-len(".zip")])
	if d, ok := c.args["destinationpath"]; ok {
		q, err := p.onePath(d)
		if err != nil {
			return nil, err
		}
		if q.key != "" {
			return nil, notOffline(q.t, "")
		}
		if to, err = p.file(q.t, true); err != nil {
			return nil, err
		}
	}
	return nil, placedFailure(src, p.s.expand(from, to, c.has("force")))
}

// expand writes the files of an archive below a directory.
func (s *session) expand(from, to string, force bool) (err error) {
	if _, err := s.makeDir(to); err != nil {
		return err
	}
	archive, err := tempfile.Create("", "mullion-archive-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	limit := s.c.MaxArchive
	if limit == 0 {
		limit = maxArchive
	}
	r, _, err := s.openFile(from)
	if err != nil {
		return err
	}
	size, err := io.Copy(archive, io.LimitReader(s.reader(r), limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	if size > limit {
		return fmt.Errorf("%w of an archive, %d bytes", ErrLimit, limit)
	}
	if err := s.countNames(archive, size); err != nil {
		return err
	}
	z, err := zip.NewReader(archive, size)
	if err != nil {
		return fmt.Errorf("%s: %w", winPath(from), err)
	}
	if len(z.File) > maxArchiveNames {
		return fmt.Errorf("%w of files in an archive, %d", ErrLimit, maxArchiveNames)
	}
	out, err := tempfile.Create("", "mullion-extracted-*")
	if err != nil {
		return err
	}
	s.c.temp = append(s.c.temp, out)
	at := int64(0)
	for _, f := range z.File {
		n, err := s.expandOne(f, to, out, at, limit-at, force)
		if err != nil {
			var pe powerError
			if errors.As(err, &pe) {
				return err
			}
			return fmt.Errorf("%s: %s: %w", winPath(from), clip(f.Name), err)
		}
		at += n
	}
	return nil
}

// countNames refuses an archive whose directory is larger than that of maxArchiveNames
// files, before it is read into memory.
func (s *session) countNames(r io.ReaderAt, size int64) error {
	// The end of the directory is in the last 64 KiB: its signature, then at 12 the size of
	// the directory (APPNOTE 4.3.16).
	n := min(size, 1<<16+22)
	b := make([]byte, n)
	if _, err := r.ReadAt(b, size-n); err != nil && err != io.EOF {
		return err
	}
	i := strings.LastIndex(string(b), "PK\x05\x06")
	if i < 0 || i+16 > len(b) {
		return nil // zip.NewReader says what is wrong
	}
	length := int64(b[i+12]) | int64(b[i+13])<<8 | int64(b[i+14])<<16 | int64(b[i+15])<<24
	if length == 1<<32-1 || length > 256<<20 {
		return fmt.Errorf("%w of the directory of an archive, 256 MiB", ErrLimit)
	}
	return nil
}

// reader ends with the context.
func (s *session) reader(r io.Reader) io.Reader { return stepReader{s, r} }

type stepReader struct {
	s *session
	r io.Reader
}

func (r stepReader) Read(p []byte) (int, error) {
	if err := r.s.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// errTraversal reports a name in an archive that leads out of the directory.
var errTraversal = errors.New("the name leads out of the directory")

func (s *session) expandOne(f *zip.File, to string, out *tempfile.File, at, room int64, force bool) (int64, error) {
	if err := s.step(); err != nil {
		return 0, err
	}
	name := strings.ReplaceAll(f.Name, "/", `\`)
	isDir := strings.HasSuffix(name, `\`)
	name = strings.TrimRight(name, `\`)
	if name == "" || strings.HasPrefix(name, `\`) || hasDrive(name) {
		return 0, errTraversal
	}
	for _, n := range strings.Split(name, `\`) {
		if n == ".." || n == "." || n == "" {
			return 0, errTraversal
		}
		if err := winfs.CheckName(n); err != nil {
			return 0, err
		}
		if err := winfs.ValidateComponent(n); err != nil {
			return 0, err
		}
	}
	target, err := s.real(winfs.JoinPath(to, name), true)
	if err != nil && !missing(err) {
		return 0, err
	}
	if err != nil {
		target = winfs.JoinPath(to, name)
	}
	// A link in the image must not lead the files of an archive elsewhere.
	if !winfs.Under(target, to) {
		return 0, errTraversal
	}
	if isDir {
		_, err := s.makeDir(target)
		return 0, err
	}
	dir, _ := winfs.SplitPath(target)
	if _, err := s.makeDir(dir); err != nil {
		return 0, err
	}
	old, err := s.writable(target)
	var code codeError
	if errors.As(err, &code) {
		return 0, failf("Access to the path '%s' is denied.", winPath(target))
	}
	if err != nil {
		return 0, err
	}
	if old != nil && !force {
		return 0, failf("Failed to create file '%s' while expanding the archive file contents as the file already exists.", winPath(target))
	}
	if f.Flags&1 != 0 {
		return 0, errors.New("the file is encrypted")
	}
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.NewOffsetWriter(out, at), io.LimitReader(s.reader(r), room+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return 0, err
	}
	if n > room {
		return 0, fmt.Errorf("%w of what archives hold", ErrLimit)
	}
	written, err := winfs.FiletimeFromTime(dosTime(f))
	if err != nil {
		return 0, err
	}
	return n, s.c.Files.Write(target, extracted{out, at, n}, Meta{Times: winfs.Times{LastWrite: written}})
}

// dosTime returns the time of a file in an archive as .NET reads it: the one of MS-DOS,
// which has no zone and is taken for UTC.
func dosTime(f *zip.File) time.Time {
	//nolint:staticcheck // Modified is the time of another field where there is one.
	d, t := f.ModifiedDate, f.ModifiedTime
	if d == 0 {
		d = 1<<5 | 1 // 1980-01-01, the first that the format has
	}
	return time.Date(1980+int(d>>9), time.Month(d>>5&15), int(d&31), int(t>>11), int(t>>5&63), int(t&31)*2, 0, time.UTC)
}
