package inventory

import (
	"context"
	"iter"
	"regexp"
	"strings"

	"github.com/mullion/mullion/hives"
)

// The keys of updates in SOFTWARE; see the package comment.
const (
	servicingKey = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages`
	hotfixKey    = `Microsoft\Windows NT\CurrentVersion\HotFix`
)

// State is the state of a servicing package: the value CurrentState of its key, in the words
// of Microsoft's chart of servicing states.
type State string

// The states in which a package, or a part of it, is in use.
const (
	Installed          State = "installed"           // 112
	PartiallyInstalled State = "partially-installed" // 101
	Permanent          State = "permanent"           // 128: cannot be removed
)

// servicingStates are the states that mean that a package is installed. Others are staged
// (64), superseded (80), being installed (96) and so on.
var servicingStates = map[uint32]State{101: PartiallyInstalled, 112: Installed, 128: Permanent}

var kbPattern = regexp.MustCompile(`(?i)KB\d{5,8}`)

// kbOf finds the number of an article in a text.
func kbOf(s string) string { return strings.ToUpper(kbPattern.FindString(s)) }

// servicing finds the packages of Component Based Servicing, and the hotfixes of Windows
// before Vista.
type servicing struct{ registryOnly }

func (servicing) Name() string { return "servicing" }

func (servicing) Catalog(_ context.Context, s System) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		h, err := s.Hive(hives.Software)
		if err != nil {
			yield(Component{}, Skip(KeyEvidence(hives.Software, servicingKey), err))
			return
		}
		for _, from := range []struct {
			key string
			of  func(place) (Component, bool, error)
		}{{servicingKey, packageOf}, {hotfixKey, hotfixOf}} {
			for k, err := range subkeys(h, from.key) {
				where := KeyEvidence(hives.Software, k.path)
				c, ok := Component{}, true
				if err == nil {
					c, ok, err = from.of(k)
				}
				c.Evidence = where
				if (ok || err != nil) && !yield(c, Skip(where, err)) {
					return
				}
			}
		}
	}
}

// packageOf reads the key of a servicing package, whose name is an assembly identity,
// NAME~TOKEN~ARCH~LANGUAGE~VERSION.
func packageOf(k place) (c Component, ok bool, err error) {
	n, err := number(k.Key, "CurrentState")
	state, ok := servicingStates[n]
	if err != nil || !ok {
		return c, false, err
	}
	c = Component{Kind: Package, Name: k.Name(), State: state}
	if parts := strings.Split(k.Name(), "~"); len(parts) == 5 {
		c.Name, c.Architecture, c.Language, c.Version = parts[0], architectureOf(parts[2]), parts[3], parts[4]
		if parts[1] == "31bf3856ad364e35" { // the key that Windows is signed with
			c.Publisher = microsoft
		}
	}
	if strings.HasPrefix(c.Name, "Package_for_") {
		c.Kind, c.KB = Update, kbOf(c.Name)
	}
	return c, true, nil
}

// architectureOf is the name in Go of an architecture in an assembly identity.
func architectureOf(s string) string {
	switch s = strings.ToLower(s); s {
	case "x86":
		return "386"
	case "amd64", "arm", "arm64":
		return s
	}
	return ""
}

// hotfixOf reads the key that an update of Windows before Vista creates.
func hotfixOf(k place) (c Component, ok bool, err error) {
	v := values{key: k.Key}
	installed, about := v.number("Installed"), v.text("Fix Description")
	c = Component{Kind: Update, Name: k.Name(), KB: kbOf(k.Name()), Publisher: microsoft, State: Installed}
	if about != "" {
		c.Name = about
	}
	return c, installed == 1, v.err
}
