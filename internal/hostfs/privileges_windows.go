package hostfs

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// neededPrivileges allow a process to read and write files, owners and audit lists against
// their descriptors, as a backup program does.
var neededPrivileges = []string{winio.SeBackupPrivilege, winio.SeRestorePrivilege, seSecurityPrivilege}

const seSecurityPrivilege = "SeSecurityPrivilege"

// privileges are those of the process, which all readers and writers share.
var privileges struct {
	mu      sync.Mutex
	holders int
	enabled []string // by this package, to be disabled by the last holder
}

// HoldPrivileges enables the privileges until release is called. Those that the process
// has enabled itself stay enabled.
func HoldPrivileges() (release func() error, err error) {
	p := &privileges
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holders == 0 {
		missing, err := disabledPrivileges()
		if err != nil {
			return nil, fmt.Errorf("look up the privileges of the process: %w", err)
		}
		if err := winio.EnableProcessPrivileges(missing); err != nil {
			return nil, fmt.Errorf("layers are read and written with the privileges of a backup, which administrators have: %w", err)
		}
		p.enabled = missing
	}
	p.holders++
	var once sync.Once
	return func() (err error) {
		once.Do(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.holders--; p.holders == 0 {
				err = winio.DisableProcessPrivileges(p.enabled)
				p.enabled = nil
			}
		})
		return err
	}, nil
}

// disabledPrivileges returns those of neededPrivileges that are not enabled.
func disabledPrivileges() ([]string, error) {
	token := windows.GetCurrentProcessToken()
	var n uint32
	err := windows.GetTokenInformation(token, windows.TokenPrivileges, nil, 0, &n)
	if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) {
		return nil, err
	}
	words := make([]uint64, (n+7)/8) // aligned as the structure
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
	if err := windows.GetTokenInformation(token, windows.TokenPrivileges, &b[0], n, &n); err != nil {
		return nil, err
	}
	on := map[windows.LUID]bool{}
	for _, a := range (*windows.Tokenprivileges)(unsafe.Pointer(&b[0])).AllPrivileges() {
		on[a.Luid] = a.Attributes&windows.SE_PRIVILEGE_ENABLED != 0
	}
	var missing []string
	for _, name := range neededPrivileges {
		text, err := windows.UTF16PtrFromString(name)
		if err != nil {
			return nil, err
		}
		var id windows.LUID
		if err := windows.LookupPrivilegeValue(nil, text, &id); err != nil {
			return nil, err
		}
		if !on[id] {
			missing = append(missing, name)
		}
	}
	return missing, nil
}
