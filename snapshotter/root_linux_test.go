package snapshotter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The directory of a service is closed to others from the start, and one that was open
// is closed.
func TestRootIsClosed(t *testing.T) {
	for _, mode := range []os.FileMode{0, 0o711, 0o755, 0o777} {
		root := filepath.Join(t.TempDir(), "root")
		if mode != 0 {
			if err := errors.Join(os.Mkdir(root, 0o700), os.Chmod(root, mode)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := New(Config{Root: root})
		if err != nil {
			t.Fatalf("%o: %v", mode, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if st, err := os.Stat(root); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%o has become %v, %v", mode, st.Mode(), err)
		}
		for _, lock := range []string{lockName} {
			if st, err := os.Stat(filepath.Join(root, lock)); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", lock, st.Mode(), err)
			}
		}
	}
}

// A directory that is shared by its nature is refused and stays as it is, and so is one
// of another user.
func TestRootIsRefused(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	if err := errors.Join(os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Root: shared}); !errors.Is(err, ErrRoot) {
		t.Errorf("shared: %v", err)
	}
	if st, err := os.Stat(shared); err != nil || st.Mode().Perm() != 0o777 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if os.Getuid() != 0 {
		return
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Root: foreign}); !errors.Is(err, ErrRoot) {
		t.Errorf("of another user: %v", err)
	}
}

// A lock file that an earlier version has made for everybody to open is corrected.
func TestLockIsClosed(t *testing.T) {
	root := t.TempDir()
	name := filepath.Join(root, lockName)
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chmod(name, 0o666)); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stats(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}
