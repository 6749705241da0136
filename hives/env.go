package hives

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mullion/mullion/winfs"
)

// Source is the origin of a variable; a later source overrides an earlier one.
type Source string

// The sources in the order in which they apply.
const (
	FromSystem  Source = "system"  // set by Windows itself: SystemRoot, ProgramFiles
	FromMachine Source = "machine" // the SYSTEM hive, Session Manager\Environment
	FromUser    Source = "user"    // the default user's hive, Environment
	FromConfig  Source = "config"  // the image's configuration
)

// Variable is one environment variable.
type Variable struct {
	Name, Value string
	Source      Source // origin of the value, the last one for a joined PATH
}

// Env is an environment. Names keep their first spelling and are found without regard to
// case, as in Windows. The zero value is ready to use.
type Env struct {
	vars map[string]Variable
}

// Get returns the value of a variable.
func (e *Env) Get(name string) (string, bool) {
	v, ok := e.vars[winfs.Fold(name)]
	return v.Value, ok
}

// Set sets a variable. An existing name keeps its first spelling, as in Windows.
func (e *Env) Set(name, value string, from Source) {
	if e.vars == nil {
		e.vars = make(map[string]Variable)
	}
	key := winfs.Fold(name)
	if old, ok := e.vars[key]; ok {
		name = old.Name
	}
	e.vars[key] = Variable{name, value, from}
}

// Clone returns a copy, which changes independently.
func (e *Env) Clone() *Env { return &Env{maps.Clone(e.vars)} }

// All returns the variables sorted by name, as the Windows environment block is.
func (e *Env) All() []Variable {
	out := make([]Variable, 0, len(e.vars))
	for _, v := range e.vars {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Variable) int {
		return cmp.Or(winfs.CompareFold(a.Name, b.Name), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// maxExpanded bounds the result of Expand: the longest environment block of Windows.
const maxExpanded = 32767

// Expand replaces each %NAME% by the variable's value, once, as ExpandEnvironmentStrings
// does: names that are not set are kept, and names inside a value are not expanded again.
func (e *Env) Expand(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for s != "" && b.Len() <= maxExpanded {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i+1:], '%')
		if j < 0 {
			break
		}
		name := s[i+1 : i+1+j]
		value, ok := e.Get(name)
		if !ok || name == "" {
			// The second % may start another name.
			b.WriteString(s[:i+1+j])
			s = s[i+1+j:]
			continue
		}
		b.WriteString(s[:i])
		b.WriteString(value)
		s = s[i+j+2:]
	}
	b.WriteString(s)
	return b.String()
}

// setting is one value of an Environment key.
type setting struct {
	name, value string
	expand      bool // REG_EXPAND_SZ
}

// joined are the variables of a user that are appended to the machine's and do not replace
// it.
var joined = []string{"PATH", "LIBPATH", "OS2LIBPATH"}

// apply adds the values of one Environment key: plain strings first, then those to
// be expanded, each group in stored order, so that an expanded value can use any
// plain one (MS Learn, CreateEnvironmentBlock; the order is that of the session
// manager).
func (e *Env) apply(settings []setting, from Source) {
	for _, expand := range []bool{false, true} {
		for _, s := range settings {
			if s.expand != expand || s.name == "" {
				continue
			}
			value := s.value
			if expand {
				value = e.Expand(value)
			}
			if from == FromUser && slices.ContainsFunc(joined, func(n string) bool { return winfs.EqualFold(n, s.name) }) {
				if old, ok := e.Get(s.name); ok && old != "" && value != "" {
					value = strings.TrimSuffix(old, ";") + ";" + value
				}
			}
			e.Set(s.name, value, from)
		}
	}
}

// applyConfig adds the NAME=value words of an image configuration, which override. They are
// taken literally: a builder has expanded them already. A word without = is ignored, as
// runtimes do.
func (e *Env) applyConfig(words []string) {
	for _, w := range words {
		// A name may start with =, as in the =C: of cmd.exe.
		i := strings.IndexByte(w[min(1, len(w)):], '=')
		if i < 0 {
			continue
		}
		e.Set(w[:i+1], w[i+2:], FromConfig)
	}
}
