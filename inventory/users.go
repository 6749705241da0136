package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// profileList is the key in SOFTWARE that lists the profiles of users, by SID.
const profileList = `Microsoft\Windows NT\CurrentVersion\ProfileList`

// Limits of the hives of users.
const (
	maxUserHive = 64 << 20 // bytes of NTUSER.DAT
	maxUserLog  = 32 << 20 // bytes of each log
	maxProfiles = 10_000
	// maxUserHives is the number of bytes of all hives and logs that one loop reads: names of
	// one large file can be as many as the profiles.
	maxUserHives = 1 << 30
)

const userHive = "NTUSER.DAT"

// Errors of the profiles of users.
var (
	errProfileOutside = errors.New("the profile is not in the image")
	errProfiles       = fmt.Errorf("more than %d profiles; the rest is left out", maxProfiles)
	errUserHives      = fmt.Errorf("the hives of users have more than %d bytes; the rest is left out", maxUserHives)
)

// wantsUserHive reports whether a file is the registry of a user or a log of it.
func wantsUserHive(path string, size int64) bool {
	name := path[strings.LastIndexByte(path, '\\')+1:]
	if len(name) < len(userHive) || !strings.EqualFold(name[:len(userHive)], userHive) {
		return false
	}
	switch rest := name[len(userHive):]; {
	case rest == "":
		return size <= maxUserHive
	case strings.EqualFold(rest, ".LOG"), strings.EqualFold(rest, ".LOG1"), strings.EqualFold(rest, ".LOG2"):
		return size <= maxUserLog
	}
	return false
}

// users opens the hives of the profiles that a system lists, in the order of their paths. A
// profile without a hive, which Windows makes when the user logs on, is passed over.
func users(s System) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		software, err := s.Hive(hives.Software)
		if err != nil {
			if !errors.Is(err, hives.ErrNoBase) {
				yield(User{}, Skip(KeyEvidence(hives.Software, profileList), err))
			}
			return
		}
		var list []User
		seen := map[string]bool{}
		for k, err := range subkeys(software, profileList) {
			where := KeyEvidence(hives.Software, k.path)
			u := User{}
			switch {
			case err != nil:
			case len(list) == maxProfiles:
				err = errProfiles
			default:
				u, err = userOf(k)
			}
			if err != nil {
				if !yield(User{}, Skip(where, err)) {
					return
				}
				if errors.Is(err, errProfiles) {
					break
				}
				continue
			}
			// Windows keeps the list of a profile that it could not load as SID.bak.
			if folded := winfs.Fold(u.Path); u.Path != "" && !seen[folded] {
				seen[folded] = true
				list = append(list, u)
			}
		}
		slices.SortFunc(list, func(a, b User) int { return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.SID, b.SID)) })
		r := userReader{s, maxUserHives}
		for _, u := range list {
			h, err := r.open(u.Path)
			if errors.Is(err, errUserHives) {
				yield(User{}, Skip(FileEvidence(u.Path), err))
				return
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil && !yield(User{}, Skip(FileEvidence(u.Path), err)) {
				if h != nil {
					h.Close()
				}
				return
			}
			if u.Hive = h; h != nil && !yieldUser(u, yield) {
				return
			}
		}
	}
}

func yieldUser(u User, yield func(User, error) bool) bool {
	defer u.Hive.Close()
	return yield(u, nil)
}

// userOf reads a key of the list of profiles. The path is "" if the key names none.
func userOf(k place) (User, error) {
	v, err := k.Value("ProfileImagePath")
	if err != nil {
		return User{}, lenient(err)
	}
	if err := checkText(v); err != nil {
		return User{}, err
	}
	dir, err := v.Expand(systemVariable)
	if err != nil {
		return User{}, lenient(err)
	}
	dir = strings.TrimRight(dir, `\`)
	if dir == "" {
		return User{}, nil
	}
	below, ok := onSystemDrive(dir)
	if !ok || winfs.ValidatePath(below) != nil {
		return User{}, fmt.Errorf("%w: %q", errProfileOutside, dir)
	}
	return User{SID: k.Name(), Path: `Files\` + below + `\` + userHive}, nil
}

// systemVariable is the environment of the paths that the registry keeps for the machine: an
// image has one drive, and its Windows is where setup puts it.
func systemVariable(name string) (string, bool) {
	switch strings.ToUpper(name) {
	case "SYSTEMDRIVE":
		return "C:", true
	case "SYSTEMROOT", "WINDIR":
		return `C:\Windows`, true
	}
	return "", false
}

// onSystemDrive is the part of a path below C:\, which is Files in a layer.
func onSystemDrive(path string) (below string, ok bool) {
	if len(path) > 3 && strings.EqualFold(path[:3], `C:\`) {
		return path[3:], true
	}
	return "", false
}

// userReader reads the hives of users.
type userReader struct {
	s    System
	left int64 // bytes that may still be read
}

// open opens a hive in memory, with its logs replayed if it needs them. If no log fits,
// the error is regf.ErrNoUsableLog, and the hive that comes with it is as it stands: it may
// lack the last changes, but each of its programs was once registered.
func (r *userReader) open(path string) (*regf.Hive, error) {
	b, err := r.read(path, maxUserHive)
	if err != nil {
		return nil, err
	}
	if hdr, err := regf.ParseHeader(b); err != nil || hdr.Dirty() {
		var logs [][]byte
		for _, suffix := range []string{".LOG1", ".LOG2", ".LOG"} {
			log, err := r.read(path+suffix, maxUserLog)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s%s: %w", path, suffix, err)
			}
			if len(log) > 0 {
				logs = append(logs, log)
			}
		}
		whole, _, err := regf.Recover(context.Background(), b, logs...)
		if errors.Is(err, regf.ErrNoUsableLog) {
			h, openErr := regf.OpenBytes(b, &regf.Options{AllowHarmless: true, AllowDirty: true})
			if openErr != nil {
				return nil, errors.Join(err, openErr)
			}
			return h, err
		}
		if err != nil {
			return nil, err
		}
		b = whole
	}
	return regf.OpenBytes(b, &regf.Options{AllowHarmless: true})
}

// read reads a file of at most limit bytes. The path is that in the layer.
func (r *userReader) read(path string, limit int64) ([]byte, error) {
	f, err := r.s.Open(slashPath(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a file")}
	}
	if info.Size() > limit {
		return nil, tooLarge(info.Size(), limit)
	}
	if info.Size() > r.left {
		return nil, errUserHives
	}
	// Not io.ReadAll, which holds a large file nearly twice while its buffer grows.
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, err
	}
	r.left -= info.Size()
	if n, err := f.Read(make([]byte, 1)); n > 0 {
		return nil, fmt.Errorf("the file has more than the %d bytes of its size", info.Size())
	} else if err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("the file has %d bytes; at most %d are read", size, limit)
}
