package inventory

import (
	"slices"
	"strings"
)

// options are those of an inventory of an image.
type options struct {
	languages    bool
	registryOnly bool
	executables  Executables
	names        []string // of catalogers, nil for all
}

// Option configures [Of] and [Catalogers].
type Option func(*options)

// WithLanguages also lists the packages of programming languages, of the kind [Library]. The
// catalogers are those that [Languages] returns.
func WithLanguages() Option { return func(o *options) { o.languages = true } }

// WithRegistryOnly leaves the files of the layers unread but for the hives of the system: for
// an answer of an unpacked layer at once. It lacks what is in no hive, in the hives of users
// and in manifests of servicing.
func WithRegistryOnly() Option { return func(o *options) { o.registryOnly = true } }

// WithExecutables says which executable files are listed, [ProgramExecutables] without it.
func WithExecutables(e Executables) Option { return func(o *options) { o.executables = e } }

// WithCatalogers runs only the catalogers with these names: less of the layers is read then.
// That of a component is in its field FoundBy.
func WithCatalogers(names ...string) Option {
	return func(o *options) {
		o.names = slices.Clone(names)
		slices.Sort(o.names)
	}
}

func newOptions(opts []Option) *options {
	o := &options{executables: ProgramExecutables}
	for _, f := range opts {
		f(o)
	}
	return o
}

// catalogers returns new catalogers for the options.
func (o *options) catalogers() ([]Cataloger, error) {
	all := Catalogers(WithExecutables(o.executables))
	if o.languages {
		more, err := Languages()
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if o.names != nil {
		all = slices.DeleteFunc(all, func(c Cataloger) bool { return !slices.Contains(o.names, c.Name()) })
	}
	return all, nil
}

// key is a name for the set of options, for kept answers.
func (o *options) key() string {
	key := ""
	if o.languages {
		key += "-languages"
	}
	if o.registryOnly {
		key += "-registry"
	}
	if o.executables != ProgramExecutables {
		key += "-executables-" + string(o.executables)
	}
	if o.names != nil {
		key += "-catalogers-" + strings.Join(o.names, ",")
	}
	return key
}
