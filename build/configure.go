package build

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/winfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Changes are changes of a configuration. The zero value changes nothing. Where a pointer is
// nil, the member stays; a pointer to an empty value removes it.
type Changes struct {
	// SetEnv are variables as NAME=VALUE. One that exists, in any case, keeps its place and
	// its spelling, as in Windows. UnsetEnv are names of variables to be removed first.
	SetEnv, UnsetEnv []string
	// Entrypoint and Cmd are the words of the command in exec form.
	Entrypoint, Cmd           *[]string
	User, WorkingDir          *string
	SetLabels                 map[string]string
	RemoveLabels              []string
	ExposePorts, ConcealPorts []string // "80/tcp"; without a protocol it is tcp
	OSVersion, Author         *string
	// Created is the time of the image and of the new entry in its history.
	Created *time.Time
	// CreatedBy is the text of an entry in the history, "" for no entry.
	CreatedBy string
}

// Configure changes the configuration of an image. Members that Changes does not name stay as
// they are. The error is ErrConfig for values that make no sense; then nothing is changed.
func Configure(a *image.Assembly, c Changes) error {
	env, err := c.env(a)
	if err != nil {
		return err
	}
	labels, err := c.labels(a)
	if err != nil {
		return err
	}
	ports, err := c.ports(a)
	if err != nil {
		return err
	}
	escaped, err := c.escaped(a)
	if err != nil {
		return err
	}
	if c.OSVersion != nil && *c.OSVersion != "" && !validVersion(*c.OSVersion) {
		return fmt.Errorf("%w: os.version %.100q is not four numbers such as 10.0.20348.2700", ErrConfig, *c.OSVersion)
	}
	var errs []error
	set := func(changed bool, name string, v any, path ...string) {
		if changed {
			errs = append(errs, a.SetConfig(name, v, path...))
		}
	}
	set(len(c.SetEnv)+len(c.UnsetEnv) > 0, "Env", orNil(env), "config")
	set(c.Entrypoint != nil, "Entrypoint", listOrNil(c.Entrypoint), "config")
	set(c.Cmd != nil, "Cmd", listOrNil(c.Cmd), "config")
	set(c.User != nil, "User", textOrNil(c.User), "config")
	set(c.WorkingDir != nil, "WorkingDir", textOrNil(c.WorkingDir), "config")
	set(len(c.SetLabels)+len(c.RemoveLabels) > 0, "Labels", mapOrNil(labels), "config")
	set(len(c.ExposePorts)+len(c.ConcealPorts) > 0, "ExposedPorts", mapOrNil(ports), "config")
	set(!escaped, "ArgsEscaped", nil, "config")
	set(c.OSVersion != nil, "os.version", textOrNil(c.OSVersion))
	set(c.Author != nil, "author", textOrNil(c.Author))
	if c.Created != nil {
		set(true, "created", c.Created.UTC())
	}
	if c.CreatedBy != "" {
		errs = append(errs, a.AddHistory(ocispec.History{Created: utc(c.Created), CreatedBy: c.CreatedBy, EmptyLayer: true}))
	}
	return errors.Join(errs...)
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func orNil(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func listOrNil(list *[]string) any {
	if list == nil {
		return nil
	}
	return orNil(*list)
}

func textOrNil(s *string) any {
	if s == nil || *s == "" {
		return nil
	}
	return *s
}

func mapOrNil[V any](m map[string]V) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// env returns the variables after the changes.
func (c *Changes) env(a *image.Assembly) ([]string, error) {
	var env []string
	if _, err := a.ConfigMember(&env, "Env", "config"); err != nil {
		return nil, err
	}
	at := func(name string) int {
		return slices.IndexFunc(env, func(e string) bool { return winfs.EqualFold(variable(e), name) })
	}
	for _, name := range c.UnsetEnv {
		if name == "" || strings.ContainsRune(name[1:], '=') {
			return nil, fmt.Errorf("%w: %.100q is not the name of a variable", ErrConfig, name)
		}
		env = slices.DeleteFunc(env, func(e string) bool { return winfs.EqualFold(variable(e), name) })
	}
	for _, e := range c.SetEnv {
		name := variable(e)
		if name == "" || name == e || strings.ContainsRune(e, 0) {
			return nil, fmt.Errorf("%w: %.100q is not a variable as NAME=VALUE", ErrConfig, e)
		}
		if i := at(name); i >= 0 {
			env[i] = variable(env[i]) + e[len(name):]
		} else {
			env = append(env, e)
		}
	}
	return env, nil
}

// variable returns the name in NAME=VALUE. A name of Windows may begin with "=", as the working
// directories of drives do.
func variable(e string) string {
	if e == "" {
		return ""
	}
	if i := strings.IndexByte(e[1:], '='); i >= 0 {
		return e[:i+1]
	}
	return e
}

func (c *Changes) labels(a *image.Assembly) (map[string]string, error) {
	labels := map[string]string{}
	if _, err := a.ConfigMember(&labels, "Labels", "config"); err != nil {
		return nil, err
	}
	for _, k := range c.RemoveLabels {
		delete(labels, k)
	}
	maps.Copy(labels, c.SetLabels)
	if _, ok := c.SetLabels[""]; ok {
		return nil, fmt.Errorf("%w: a label without a name", ErrConfig)
	}
	return labels, nil
}

func (c *Changes) ports(a *image.Assembly) (map[string]struct{}, error) {
	ports := map[string]struct{}{}
	if _, err := a.ConfigMember(&ports, "ExposedPorts", "config"); err != nil {
		return nil, err
	}
	for _, p := range c.ConcealPorts {
		p, err := port(p)
		if err != nil {
			return nil, err
		}
		delete(ports, p)
	}
	for _, p := range c.ExposePorts {
		p, err := port(p)
		if err != nil {
			return nil, err
		}
		ports[p] = struct{}{}
	}
	return ports, nil
}

// port returns a port as configurations have it.
func port(s string) (string, error) {
	number, protocol, ok := strings.Cut(s, "/")
	if !ok {
		protocol = "tcp"
	}
	protocol = strings.ToLower(protocol)
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return "", fmt.Errorf("%w: %.100q is not a port such as 80 or 53/udp", ErrConfig, s)
	}
	return fmt.Sprintf("%d/%s", n, protocol), nil
}

// escaped returns whether ArgsEscaped stays. Docker sets it where a command is one string with
// the quotes of Windows, which a list of words is not.
func (c *Changes) escaped(a *image.Assembly) (bool, error) {
	var old struct {
		Entrypoint, Cmd []string
		ArgsEscaped     bool
	}
	if _, err := a.ConfigMember(&old, "config"); err != nil || !old.ArgsEscaped || c.Entrypoint == nil && c.Cmd == nil {
		return true, err
	}
	words, other, name := 0, 0, ""
	for _, x := range []struct {
		new  *[]string
		old  []string
		name string
	}{{c.Entrypoint, old.Entrypoint, "entrypoint"}, {c.Cmd, old.Cmd, "cmd"}} {
		if x.new != nil {
			words += len(*x.new)
		} else if len(x.old) > 0 {
			other, name = len(x.old), x.name
		}
	}
	switch {
	case other == 0:
		return false, nil // all words are new
	case words <= 1:
		return true, nil
	}
	return false, fmt.Errorf("%w: the %s of the image is a command line in shell form (ArgsEscaped), with which words in exec form cannot be combined; set both", ErrConfig, name)
}

// validVersion reports whether s is a version of Windows as configurations have it.
func validVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil || len(p) > 1 && p[0] == '0' {
			return false
		}
	}
	return len(parts) == 4
}
