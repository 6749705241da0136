package hello

import (
	"errors"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// server is the Windows that the base layer says it is.
var server = hives.ServerCore(20348, 2700)

// vendorKey is where the base layer keeps settings that the application changes.
const vendorKey = `Hello\Settings`

// baseHive makes a hive of the base layer: a minimal one, in SOFTWARE with settings.
func baseHive(n hives.Name) func() ([]byte, error) {
	return func() ([]byte, error) {
		plain, err := hives.Minimal(n, server)
		if err != nil || n != hives.Software {
			return plain, err
		}
		h, err := openHive(plain)
		if err != nil {
			return nil, err
		}
		defer h.Close()
		e := &registry{h: h}
		e.text(vendorKey, "Greeting", "Good morning")
		e.text(vendorKey, "Colour", "blue")
		e.number(vendorKey, "Count", 1)
		e.text(`Hello\Old\Deeper`, "Gone", "with its parents")
		if e.err != nil {
			return nil, e.err
		}
		return h.Compact(nil)
	}
}

// deltaHive makes a delta hive of the application layer: what a container that made
// these changes would have left.
func deltaHive(n hives.Name) func() ([]byte, error) {
	return func() ([]byte, error) {
		base, err := baseHive(n)()
		if err != nil {
			return nil, err
		}
		before, err := openHive(base)
		if err != nil {
			return nil, err
		}
		defer before.Close()
		after, err := openHive(base)
		if err != nil {
			return nil, err
		}
		defer after.Close()
		if err := change(after, n); err != nil {
			return nil, err
		}
		delta, err := regf.Diff(before, after, nil)
		if err != nil {
			return nil, err
		}
		defer delta.Close()
		return delta.Compact(nil)
	}
}

// change is what the application did to the registry.
func change(h *regf.Hive, n hives.Name) error {
	e := &registry{h: h}
	switch n {
	case hives.Software:
		e.text(vendorKey, "Greeting", "Hello from the delta hive") // changed
		e.number(vendorKey, "Added", 2)                            // added
		e.deleteValue(vendorKey, "Colour")                         // deleted
		e.text(`Hello\Application`, "Version", "1.0")              // a new key
		e.deleteKey(`Hello\Old`)                                   // a key with what is below
	case hives.System:
		const environment = `ControlSet001\Control\Session Manager\Environment`
		e.text(environment, "HELLO_HOME", `C:\hello`)
		e.expand(environment, "Path", `%SystemRoot%\system32;%SystemRoot%;%SystemDrive%\hello`)
	}
	return e.err
}

// openHive opens a hive whose keys get the time of the image when they change.
func openHive(b []byte) (*regf.Hive, error) {
	return regf.OpenBytes(b, &regf.Options{Clock: func() winfs.Filetime { return times().LastWrite }})
}

// registry changes a hive until the first error.
type registry struct {
	h   *regf.Hive
	err error
}

func (r *registry) set(key, value string, t regf.Type, data []byte) {
	if r.err != nil {
		return
	}
	k, err := r.h.Key(key)
	if errors.Is(err, regf.ErrNotFound) {
		k, err = r.h.CreatePath(key)
	}
	if err == nil {
		err = k.SetValue(value, t, data)
	}
	r.err = err
}

func (r *registry) text(key, value, s string) {
	r.set(key, value, regf.RegSZ, regf.StringData(s))
}

func (r *registry) expand(key, value, s string) {
	r.set(key, value, regf.RegExpandSZ, regf.StringData(s))
}

func (r *registry) number(key, value string, n uint32) {
	r.set(key, value, regf.RegDword, regf.Uint32Data(n))
}

func (r *registry) deleteValue(key, value string) {
	if r.err != nil {
		return
	}
	k, err := r.h.Key(key)
	if err == nil {
		err = k.DeleteValue(value)
	}
	r.err = err
}

func (r *registry) deleteKey(key string) {
	if r.err != nil {
		return
	}
	k, err := r.h.Key(key)
	if err == nil {
		err = k.DeleteTree()
	}
	r.err = err
}
