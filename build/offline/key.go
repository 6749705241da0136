package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// keyPath is a key of the registry: the names below the root of its hive.
type keyPath struct {
	user  bool // HKEY_CURRENT_USER
	hive  hives.Name
	names []string
}

// key reads the path of a key in the forms of reg, regedit and PowerShell.
func (s *session) key(t text) (keyPath, error) {
	k, err := s.parseKey(t.s)
	return k, placed(t, err)
}

func (s *session) parseKey(path string) (keyPath, error) {
	var k keyPath
	if strings.HasPrefix(path, `\\`) {
		return k, fmt.Errorf("%w: the registry of another machine", ErrNotOffline)
	}
	first, rest, _ := strings.Cut(path, `\`)
	names := strings.FieldsFunc(rest, func(r rune) bool { return r == '\\' })
	cut := func() string {
		if len(names) == 0 {
			return ""
		}
		n := names[0]
		names = names[1:]
		return strings.ToUpper(n)
	}
	switch strings.ToUpper(first) {
	case "HKLM", "HKEY_LOCAL_MACHINE":
		switch n := cut(); n {
		case "SOFTWARE":
			k.hive = hives.Software
		case "SYSTEM":
			k.hive = hives.System
		case "SAM", "SECURITY":
			return k, fmt.Errorf("%w: only the system itself may open HKLM\\%s, no administrator", ErrNotOffline, n)
		case "":
			return k, fmt.Errorf("%w: HKEY_LOCAL_MACHINE itself is in no hive", ErrNotOffline)
		default:
			return k, fmt.Errorf("%w: HKLM\\%s is in no hive of an image", ErrNotOffline, n)
		}
	case "HKU", "HKEY_USERS":
		switch n := cut(); n {
		case ".DEFAULT", "S-1-5-18":
			k.hive = hives.Default
		default:
			return k, fmt.Errorf("%w: HKU\\%s is in no hive of an image", ErrNotOffline, n)
		}
	case "HKCU", "HKEY_CURRENT_USER":
		k.user = true
	case "HKCR", "HKEY_CLASSES_ROOT":
		k.hive = hives.Software
		names = append([]string{"Classes"}, names...)
	default:
		return k, fmt.Errorf("%w: %s is no root of the registry that an image has", ErrNotOffline, first)
	}
	if len(names) > regf.MaxDepth {
		return k, fmt.Errorf("%w of %d keys in a path", ErrLimit, regf.MaxDepth)
	}
	if k.hive == hives.System && len(names) > 0 && strings.EqualFold(names[0], "CurrentControlSet") {
		h, err := s.c.Registry.Hive(hives.System)
		if err != nil {
			return k, noHive(err, "SYSTEM")
		}
		set, err := hives.ResolveKey(h, hives.System, "CurrentControlSet")
		if err != nil {
			return k, err
		}
		names = append([]string{set}, names[1:]...)
	}
	k.names = names
	return k, nil
}

func noHive(err error, name string) error {
	if missing(err) {
		return fmt.Errorf("%w: the image has no hive %s", ErrNotOffline, name)
	}
	return err
}

// read opens the hive of a key for reading, change for changing.
func (s *session) hive(k keyPath, change bool) (*regf.Hive, error) {
	if k.user {
		return s.c.userHive(s, change)
	}
	var h *regf.Hive
	var err error
	if change {
		h, err = s.c.Registry.edit(k.hive, s.c.Now)
	} else {
		h, err = s.c.Registry.Hive(k.hive)
	}
	return h, noHive(err, k.hive.String())
}

// lookup finds a key. ok is false if it does not exist.
func (s *session) lookup(k keyPath, change bool) (key regf.Key, ok bool, err error) {
	h, err := s.hive(k, change)
	if err != nil {
		return key, false, err
	}
	key = h.Root()
	for _, n := range k.names {
		if err := s.step(); err != nil {
			return key, false, err
		}
		if key.Symlink() {
			return key, false, fmt.Errorf("%w: the key %s is a link", ErrNotOffline, key.Path())
		}
		key, err = key.Subkey(n)
		if errors.Is(err, regf.ErrNotFound) {
			return key, false, nil
		}
		if err != nil {
			return key, false, err
		}
	}
	return key, true, nil
}

// create returns a key, made with its parents if it does not exist.
func (s *session) create(k keyPath) (key regf.Key, made bool, err error) {
	h, err := s.hive(k, true)
	if err != nil {
		return key, false, err
	}
	key = h.Root()
	for _, n := range k.names {
		if err := s.step(); err != nil {
			return key, false, err
		}
		if key.Symlink() {
			return key, false, fmt.Errorf("%w: the key %s is a link", ErrNotOffline, key.Path())
		}
		if key, made, err = key.Create(n); err != nil {
			return key, false, err
		}
	}
	return key, made, nil
}

// setValue sets a value and the time of its key, as the kernel does.
func (s *session) setValue(key regf.Key, name string, t regf.Type, data []byte) error {
	if v, err := key.Value(name); err == nil && v.Type() == t {
		if old, err := v.Data(); err == nil && bytes.Equal(old, data) {
			return nil // nothing for a layer to keep
		}
	}
	if err := key.SetValue(name, t, data); err != nil {
		return err
	}
	return s.touch(key)
}

func (s *session) deleteValue(key regf.Key, name string) error {
	if err := key.DeleteValue(name); err != nil {
		return err
	}
	return s.touch(key)
}

func (s *session) deleteKey(key regf.Key) error {
	parent, ok := key.Parent()
	if err := key.DeleteTree(); err != nil {
		return err
	}
	if ok {
		return s.touch(parent)
	}
	return nil
}

func (s *session) touch(key regf.Key) error {
	if s.c.Now == 0 {
		return nil
	}
	return key.SetLastWrite(s.c.Now)
}

// maxUserHive bounds the hive of a user; fresh ones have a quarter of a megabyte.
const maxUserHive = 256 << 20

// userHive is HKEY_CURRENT_USER: a file in the profile of the user.
type userHive struct {
	path    string
	image   []byte // as it was read
	h       *regf.Hive
	changed bool
}

func (c *Container) userHive(s *session, change bool) (*regf.Hive, error) {
	if c.user == nil {
		p := root + `\Users\` + hives.DefaultUser + `\NTUSER.DAT`
		b, err := s.readFile(p, maxUserHive)
		if missing(err) {
			return nil, fmt.Errorf("%w: the image has no registry of the user, %s", ErrNotOffline, winPath(p))
		}
		if err != nil {
			return nil, err
		}
		h, err := regf.OpenBytes(b, &regf.Options{AllowHarmless: true, Clock: func() winfs.Filetime { return c.Now }})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", winPath(p), err)
		}
		c.user = &userHive{path: p, image: b, h: h}
	}
	c.user.changed = c.user.changed || change
	return c.user.h, nil
}

// flush writes the hive of the user back, if commands changed it.
func (c *Container) flush(s *session) error {
	u := c.user
	c.user = nil
	if u == nil {
		return nil
	}
	if u.changed {
		image, err := u.h.Image()
		if err != nil {
			return fmt.Errorf("%s: %w", winPath(u.path), err)
		}
		if bytes.Equal(image, u.image) {
			return u.h.Close()
		}
		if err := s.c.Files.Write(u.path, bytesContent(image), Meta{}); err != nil {
			return fmt.Errorf("%s: %w", winPath(u.path), err)
		}
	}
	return u.h.Close()
}

// bytesContent is content in memory.
type bytesContent []byte

// Size returns the number of bytes.
func (b bytesContent) Size() int64 { return int64(len(b)) }

// Open returns a reader of the bytes.
func (b bytesContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

// open opens the main stream of a file for reading.
func (s *session) openFile(p string) (io.ReadCloser, int64, error) {
	r, err := s.c.Files.Open(p)
	if err != nil {
		return nil, 0, err
	}
	fail := func(err error) (io.ReadCloser, int64, error) {
		return nil, 0, errors.Join(err, r.Close())
	}
	e, err := r.Next()
	if err != nil {
		return fail(noEOF(err))
	}
	if e.Kind != layer.File {
		return fail(fmt.Errorf("%s is not a file", winPath(p)))
	}
	st, err := r.NextStream()
	if err != nil {
		return fail(noEOF(err))
	}
	return struct {
		io.Reader
		io.Closer
	}{r, r}, st.Size, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readFile reads a whole file of at most limit bytes.
func (s *session) readFile(p string, limit int64) ([]byte, error) {
	r, size, err := s.openFile(p)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if size > limit || int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrLimit, winPath(p), limit)
	}
	return b, nil
}
