package regf

import "errors"

// ErrUnrepairable says that a repair would lose what can not be read, or that the
// result still had faults. Findings say which.
var ErrUnrepairable error = &sentinel{text: "hive cannot be repaired safely", codes: [2]Errno{ErrorBadDB}}

// RepairOptions say how far a repair may go.
type RepairOptions struct {
	// AllowLoss lets keys, values or data go that cannot be read, and the second of
	// keys with one name. Without it such damage gives ErrUnrepairable.
	AllowLoss bool
}

// Repair is the outcome of a repair.
type Repair struct {
	Hive   *Hive     // the repaired hive, in memory, checked: no finding of Warning or above
	Before []Finding // what Check found
	Lost   []Finding // what had to be left out or changed in meaning
}

// restored are the rules whose breach is mended without loss: what they say can be
// computed from the rest of the hive. All others stand for something that cannot
// be read.
var restored = map[string]bool{
	"checksum": true, "clustering": true, "format": true, "bins-size": true, "tail": true, "bin-header": true,
	"free-unmerged": true, "cell-leak": true, "list-order": true, "list-hash": true, "list-hint": true,
	"list-empty": true, "longest-subkey": true, "longest-class": true, "longest-value-name": true,
	"longest-value-data": true, "sk-refs": true, "sk-ring": true, "nk-parent": true, "subkey-count": true,
	"db-flat": true, "db-short": true,
}

// Repair makes a sound copy of a damaged hive: everything that can be read is
// written anew, so that bins, free space, lists, their order and hashes, counts,
// longest-something fields and the ring of descriptors are right. The result is
// checked again before it is returned. The hive itself stays as it is.
//
// A hive whose logs were not replayed gives ErrDirty unless Options.EditDirty
// insists. A layered hive that breaks the rules of layers is not repaired, because
// the breach does not say what was meant.
func (h *Hive) Repair(opt *RepairOptions) (*Repair, error) {
	r, err := h.repair(opt != nil && opt.AllowLoss)
	return r, h.opError("repair", "", -1, err)
}

func (h *Hive) repair(lossy bool) (*Repair, error) {
	if h.bins == nil {
		return nil, ErrClosed
	}
	if h.dirty && !h.editDirty {
		return nil, ErrDirty
	}
	r := &Repair{Before: h.Check()}
	for _, f := range r.Before {
		if f.Severity >= Warning && !restored[f.Rule] && f.Rule != "dirty" {
			r.Lost = append(r.Lost, f)
		}
	}
	if len(r.Lost) > 0 && !lossy {
		return r, ErrUnrepairable
	}
	v := newChecker(h).v // a tolerant view with findings of its own
	v.editDirty = true
	v.repairing = true
	b, err := v.compactImage(&SaveOptions{})
	if err != nil {
		return r, err
	}
	for _, f := range v.Findings() {
		if !restored[f.Rule] {
			if !lossy {
				r.Lost = append(r.Lost, f)
				return r, ErrUnrepairable
			}
			r.Lost = appendNew(r.Lost, f)
		}
	}
	out, err := OpenBytes(b, &Options{Clock: h.clock})
	if err != nil {
		return r, errors.Join(ErrUnrepairable, err)
	}
	for _, f := range out.Check() {
		if f.Severity >= Warning {
			r.Lost = appendNew(r.Lost, f)
			err = ErrUnrepairable
		}
	}
	if err != nil {
		return r, err
	}
	out.owned = true
	r.Hive = out
	return r, nil
}

func appendNew(list []Finding, f Finding) []Finding {
	for _, have := range list {
		if have.Rule == f.Rule && have.Offset == f.Offset {
			return list
		}
	}
	return append(list, f)
}
