package bcd

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
)

// Errors of stores.
var (
	// ErrNotStore reports that a hive is not a BCD store.
	ErrNotStore = errors.New("hive is not a BCD store")
	// ErrNoObject reports that a store has no such object.
	ErrNoObject = errors.New("no such BCD object")
	// ErrNoElement reports that an object has no such element.
	ErrNoElement = errors.New("BCD object has no such element")
)

// Store is a boot configuration store. It retains the hive, which the caller saves and
// closes.
type Store struct {
	hive    *regf.Hive
	objects regf.Key
}

// Open returns the store in a hive, or ErrNotStore if the hive has no key Objects.
func Open(h *regf.Hive) (*Store, error) {
	k, err := h.Key("Objects")
	if errors.Is(err, regf.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrNotStore, err)
	}
	if err != nil {
		return nil, err
	}
	return &Store{h, k}, nil
}

// Object is one object of a store.
type Object struct {
	ID   winfs.GUID
	Type ObjectType
	key  regf.Key
}

// Element is one element of an object. Err is set if its value cannot be decoded; Value.Raw
// holds the bytes then.
type Element struct {
	Type  ElementType
	Value Value
	Err   error
}

// Objects yields the objects in stored order, which is that of their GUIDs. Keys whose name
// is no GUID are skipped, as Windows does; an object without a type is an error.
func (s *Store) Objects() iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for k, err := range s.objects.Subkeys() {
			if err != nil {
				yield(Object{}, err)
				return
			}
			id, err := winfs.ParseGUID(k.Name())
			if err != nil {
				continue
			}
			if !yield(s.object(id, k)) {
				return
			}
		}
	}
}

func (s *Store) object(id winfs.GUID, k regf.Key) (Object, error) {
	d, err := k.Open("Description")
	if err != nil {
		return Object{}, fmt.Errorf("object %s: %w", Alias(id), err)
	}
	v, err := d.Value("Type")
	if err != nil {
		return Object{}, fmt.Errorf("object %s: %w", Alias(id), err)
	}
	b, err := v.Data()
	if err != nil {
		return Object{}, fmt.Errorf("object %s: %w", Alias(id), err)
	}
	if v.Type() != regf.RegDword || len(b) != 4 {
		return Object{}, fmt.Errorf("object %s: type is not a DWORD: %w", Alias(id), ErrNotStore)
	}
	return Object{id, ObjectType(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24), k}, nil
}

// Object returns the object with an ID, or ErrNoObject if there is none.
func (s *Store) Object(id winfs.GUID) (Object, error) {
	k, err := s.objects.Subkey("{" + id.String() + "}")
	if errors.Is(err, regf.ErrNotFound) {
		return Object{}, fmt.Errorf("%s: %w", Alias(id), ErrNoObject)
	}
	if err != nil {
		return Object{}, err
	}
	return s.object(id, k)
}

// Resolve returns the object with a name: a GUID, a well-known name such as {bootmgr}, or
// {default}, the default object of the boot manager.
func (s *Store) Resolve(name string) (winfs.GUID, error) {
	if !strings.EqualFold(name, "{default}") {
		return ParseAlias(name)
	}
	id, err := ParseAlias("{bootmgr}")
	if err != nil {
		return winfs.GUID{}, err
	}
	o, err := s.Object(id)
	if err != nil {
		return winfs.GUID{}, err
	}
	v, err := o.Element(BootMgrDefaultObject)
	if err != nil {
		return winfs.GUID{}, fmt.Errorf("{default}: %w", err)
	}
	return v.Objects[0], nil
}

// Elements yields the elements of an object in stored order, which is that of their types.
// Keys whose name is no element type are skipped.
func (o Object) Elements() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		list, err := o.key.Subkey("Elements")
		if errors.Is(err, regf.ErrNotFound) {
			return
		}
		if err != nil {
			yield(Element{}, err)
			return
		}
		for k, err := range list.Subkeys() {
			if err != nil {
				yield(Element{}, err)
				return
			}
			n, err := strconv.ParseUint(k.Name(), 16, 32)
			if err != nil || len(k.Name()) != 8 {
				continue
			}
			e := Element{Type: ElementType(n)}
			e.Value, e.Err = valueOf(k, e.Type)
			if !yield(e, nil) {
				return
			}
		}
	}
}

func valueOf(k regf.Key, t ElementType) (Value, error) {
	v, err := k.Value("Element")
	if err != nil {
		return Value{}, err
	}
	b, err := v.AppendData(nil)
	if err != nil {
		return Value{}, err
	}
	return decodeValue(t, uint32(v.Type()), b)
}

// Element returns the value of one element, or ErrNoElement if the object has none of the
// type.
func (o Object) Element(t ElementType) (Value, error) {
	k, err := o.key.Open(elementPath(t))
	if errors.Is(err, regf.ErrNotFound) {
		return Value{}, fmt.Errorf("%s %s: %w", Alias(o.ID), ElementName(o.Type, t), ErrNoElement)
	}
	if err != nil {
		return Value{}, err
	}
	return valueOf(k, t)
}

func elementPath(t ElementType) string { return fmt.Sprintf(`Elements\%08x`, uint32(t)) }

// Set adds or replaces an element of an object. The value must have the format of the type;
// a device must be one that this package has made or read.
func (s *Store) Set(id winfs.GUID, t ElementType, v Value) error {
	o, err := s.Object(id)
	if err != nil {
		return err
	}
	if v.Format != t.Format() {
		return fmt.Errorf("%s %s: %w", Alias(id), ElementName(o.Type, t), ErrElementFormat)
	}
	regType, data, err := encodeValue(v)
	if err != nil {
		return fmt.Errorf("%s %s: %w", Alias(id), ElementName(o.Type, t), err)
	}
	k, err := s.hive.CreatePath(fmt.Sprintf(`Objects\{%v}\%s`, id, elementPath(t)))
	if err != nil {
		return err
	}
	return k.SetValue("Element", regf.Type(regType), data)
}

// Delete removes an element, or returns ErrNoElement if the object has none of the type.
func (s *Store) Delete(id winfs.GUID, t ElementType) error {
	o, err := s.Object(id)
	if err != nil {
		return err
	}
	k, err := o.key.Open(elementPath(t))
	if errors.Is(err, regf.ErrNotFound) {
		return fmt.Errorf("%s %s: %w", Alias(id), ElementName(o.Type, t), ErrNoElement)
	}
	if err != nil {
		return err
	}
	return k.DeleteTree()
}

// Create adds an object without elements. If it exists, the error is regf.ErrExists.
func (s *Store) Create(id winfs.GUID, t ObjectType) error {
	if _, err := s.objects.Subkey("{" + id.String() + "}"); err == nil {
		return fmt.Errorf("%s: %w", Alias(id), regf.ErrExists)
	} else if !errors.Is(err, regf.ErrNotFound) {
		return err
	}
	path := fmt.Sprintf(`Objects\{%v}`, id)
	d, err := s.hive.CreatePath(path + `\Description`)
	if err != nil {
		return err
	}
	if err := d.SetValue("Type", regf.RegDword, []byte{byte(t), byte(t >> 8), byte(t >> 16), byte(t >> 24)}); err != nil {
		return err
	}
	_, err = s.hive.CreatePath(path + `\Elements`)
	return err
}

// New makes a hive that is an empty store, as Windows makes one: version 1.3 when it is
// saved with CompactOptions.Minor 3.
func New(opt *regf.Options) (*regf.Hive, *Store, error) {
	h := regf.New(opt)
	fail := func(err error) (*regf.Hive, *Store, error) { return nil, nil, errors.Join(err, h.Close()) }
	d, err := h.CreatePath("Description")
	if err != nil {
		return fail(err)
	}
	if err := d.SetValue("KeyName", regf.RegSZ, regf.StringData("BCD00000000")); err != nil {
		return fail(err)
	}
	if _, err := h.CreatePath("Objects"); err != nil {
		return fail(err)
	}
	s, err := Open(h)
	if err != nil {
		return fail(err)
	}
	return h, s, nil
}
