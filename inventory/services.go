package inventory

import (
	"context"
	"errors"
	"iter"

	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/regf"
)

// servicesKey is the key of services and drivers in SYSTEM.
const servicesKey = `CurrentControlSet\Services`

// Bits of the value Type of a service (winsvc.h: SERVICE_KERNEL_DRIVER and so on).
const (
	typeKernelDriver = 0x01
	typeFileSystem   = 0x02
	typeAdapter      = 0x04
	typeRecognizer   = 0x08
	typeOwnProcess   = 0x10
	typeShareProcess = 0x20
	typeUser         = 0x40
	typeUserInstance = 0x80
	typeInteractive  = 0x100
	typeDriver       = typeKernelDriver | typeFileSystem | typeRecognizer
)

// startTypes are the values of Start (winsvc.h: SERVICE_BOOT_START and so on).
var startTypes = []string{"boot", "system", "automatic", "manual", "disabled"}

// services finds the services and drivers of the current control set.
type services struct{ registryOnly }

func (services) Name() string { return "services" }

func (services) Catalog(ctx context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.System)
		var key string
		if err == nil {
			key, err = hives.ResolveKey(h, hives.System, servicesKey)
		}
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.System, servicesKey), err))
			return
		}
		for k, err := range subkeys(h, key) {
			if ctx.Err() != nil {
				return
			}
			c, ok := Component{}, true
			if err == nil {
				c, ok, err = serviceOf(k)
			}
			c.Evidence = KeyEvidence(hives.System, k.path)
			if (ok || err != nil) && !yield(c, Skip(c.Evidence, err)) {
				return
			}
		}
	}
}

// serviceOf reads the key of a service. A key without a type is that of performance counters
// or of parameters, which no service manager starts.
func serviceOf(k place) (c Component, ok bool, err error) {
	kind, err := k.Value("Type")
	if err != nil || kind.Type() != regf.RegDword {
		return c, false, lenient(err)
	}
	v := values{key: k.Key}
	n := v.number("Type")
	c = Component{Kind: Service, Name: k.Name()}
	if n&typeDriver != 0 {
		c.Kind = Driver
	}
	c.SetProperty("type", serviceType(n))
	c.SetProperty("start", startType(&v))
	c.SetProperty("displayName", v.text("DisplayName"))
	c.SetProperty("imagePath", v.text("ImagePath"))
	c.SetProperty("account", v.text("ObjectName"))
	c.SetProperty("serviceDll", serviceDLL(&v))
	return c, true, v.err
}

// serviceType names the type of a service, "" for a number without meaning.
func serviceType(n uint32) string {
	var s string
	switch {
	case n&typeKernelDriver != 0:
		s = "kernel-driver"
	case n&typeFileSystem != 0:
		s = "file-system-driver"
	case n&typeRecognizer != 0:
		s = "recognizer-driver"
	case n&typeAdapter != 0:
		s = "adapter"
	case n&typeOwnProcess != 0:
		s = "own-process"
	case n&typeShareProcess != 0:
		s = "share-process"
	default:
		return ""
	}
	if n&(typeOwnProcess|typeShareProcess) == 0 {
		return s
	}
	switch {
	case n&typeUserInstance != 0:
		s = "user-instance-" + s
	case n&typeUser != 0:
		s = "user-" + s
	}
	if n&typeInteractive != 0 {
		s = "interactive-" + s
	}
	return s
}

// startType names when a service starts, "" if it is not known.
func startType(v *values) string {
	start, err := v.key.Value("Start")
	if err != nil || start.Type() != regf.RegDword {
		v.err = errors.Join(v.err, lenient(err))
		return ""
	}
	n := v.number("Start")
	if n >= uint32(len(startTypes)) {
		return ""
	}
	if startTypes[n] == "automatic" && v.number("DelayedAutostart") == 1 {
		return "automatic-delayed"
	}
	return startTypes[n]
}

// serviceDLL is the library that a shared process loads for a service. It is a value of the
// key Parameters, in some services of the key itself.
func serviceDLL(v *values) string {
	params, err := v.key.Subkey("Parameters")
	if err == nil {
		p := values{key: params}
		s := p.text("ServiceDll")
		if v.err = errors.Join(v.err, p.err); s != "" {
			return s
		}
	}
	v.err = errors.Join(v.err, lenient(err))
	return v.text("ServiceDll")
}
