package build_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mullion/mullion/build"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestConfigure(t *testing.T) {
	a := assembly(t, baseImage(t))
	cmd, user, none, version := []string{"app.exe", "/x"}, "ContainerUser", "", "10.0.20348.3000"
	when := time.Unix(1700000000, 0)
	if err := build.Configure(a, build.Changes{
		SetEnv: []string{`PATH=C:\app`, "NEW=a=b"}, UnsetEnv: []string{"base"},
		Cmd: &cmd, User: &user, Author: &none, OSVersion: &version,
		SetLabels: map[string]string{"a": "1"}, ExposePorts: []string{"80", "53/UDP"},
		Created: &when, CreatedBy: "test",
	}); err != nil {
		t.Fatal(err)
	}
	c := current(t, a).Config()
	if !slices.Equal(c.Config.Env, []string{`Path=C:\app`, "NEW=a=b"}) || !slices.Equal(c.Config.Cmd, cmd) || c.Config.User != user || c.OSVersion != version ||
		c.Config.Labels["a"] != "1" || len(c.Config.ExposedPorts) != 2 || !c.Created.Equal(when) || len(c.History) != 2 || !c.History[1].EmptyLayer {
		t.Errorf("%s", current(t, a).RawConfig())
	}
	if _, ok := c.Config.ExposedPorts["53/udp"]; !ok {
		t.Errorf("%v", c.Config.ExposedPorts)
	}
	var empty []string
	if err := build.Configure(a, build.Changes{Cmd: &empty, RemoveLabels: []string{"a"}, ConcealPorts: []string{"80/tcp", "53/udp"}}); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"Cmd", "Labels", "ExposedPorts"} {
		var v any
		if ok, err := a.ConfigMember(&v, member, "config"); ok || err != nil {
			t.Errorf("%s is %v, %v", member, v, err)
		}
	}
}

func TestConfigureRefuses(t *testing.T) {
	a := assembly(t, baseImage(t))
	before := current(t, a).RawConfig()
	bad := "10.0.20348"
	for name, c := range map[string]build.Changes{
		"variable":  {SetEnv: []string{"NAME"}},
		"no name":   {SetEnv: []string{"=x"}},
		"unset":     {UnsetEnv: []string{""}},
		"port":      {ExposePorts: []string{"0"}},
		"protocol":  {ExposePorts: []string{"80/icmp"}},
		"version":   {OSVersion: &bad},
		"label":     {SetLabels: map[string]string{"": "x"}},
		"two words": {SetEnv: []string{"OK=1"}, ConcealPorts: []string{"x"}},
	} {
		if err := build.Configure(a, c); !errors.Is(err, build.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(before, current(t, a).RawConfig()) {
		t.Error("a refused change has changed the configuration")
	}
}

// TestConfigureArgsEscaped: a command line in shell form cannot be combined with words.
func TestConfigureArgsEscaped(t *testing.T) {
	for name, c := range map[string]struct {
		cmd, entry []string
		change     build.Changes
		escaped    bool
		want       error
	}{
		"both new":      {[]string{"cmd /S /C x"}, nil, build.Changes{Cmd: &[]string{"a", "b"}}, false, nil},
		"line and word": {[]string{"x y"}, []string{"cmd /S /C"}, build.Changes{Cmd: &[]string{"a"}}, true, nil},
		"line and more": {[]string{"x y"}, []string{"cmd /S /C"}, build.Changes{Cmd: &[]string{"a", "b"}}, true, build.ErrConfig},
		"untouched":     {[]string{"x y"}, nil, build.Changes{SetEnv: []string{"A=1"}}, true, nil},
	} {
		a := assembly(t, baseImage(t))
		if err := errors.Join(a.SetConfig("Cmd", c.cmd, "config"), a.SetConfig("Entrypoint", c.entry, "config"), a.SetConfig("ArgsEscaped", true, "config")); err != nil {
			t.Fatal(err)
		}
		if err := build.Configure(a, c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		var escaped bool
		if ok, err := a.ConfigMember(&escaped, "ArgsEscaped", "config"); err != nil || ok != c.escaped || escaped != c.escaped {
			t.Errorf("%s: ArgsEscaped is %v, %v, %v", name, escaped, ok, err)
		}
	}
}

// rebaseImages returns an old base, an image on it, and a new base.
func rebaseImages(t *testing.T) (old, app, from *image.Image) {
	v1, v2 := hives.ServerCore(20348, 1), hives.ServerCore(20348, 2)
	c1 := config(v1)
	c1.Config.Labels = map[string]string{"base": "1", "gone": "x"}
	base := baseLayer(t, v1)
	above := layerTar(t, simpleLayer("app", "app"))
	old = openImage(t, c1, base)
	ca := config(v1)
	ca.Config.Labels = map[string]string{"base": "1", "gone": "x", "own": "1"}
	ca.Config.Env = []string{`Path=C:\Windows;C:\app`, "BASE=1", "APP=1"}
	ca.Config.User = "me"
	ca.History = append(ca.History, ocispec.History{CreatedBy: "app"}, ocispec.History{CreatedBy: "env", EmptyLayer: true})
	app = openImage(t, ca, base, above)
	c2 := config(v2)
	c2.Config.Labels = map[string]string{"base": "2"}
	c2.Config.Env = []string{`Path=C:\Windows;C:\new`, "BASE=2", "MORE=1"}
	c2.Config.Cmd = []string{"cmd"}
	c2.History = []ocispec.History{{CreatedBy: "base 2"}, {CreatedBy: "update"}}
	from = openImage(t, c2, baseLayer(t, v2), layerTar(t, simpleLayer("update", "u")))
	return old, app, from
}

func TestRebase(t *testing.T) {
	old, app, from := rebaseImages(t)
	a := assembly(t, app)
	if err := build.Rebase(a, old, from); err != nil {
		t.Fatal(err)
	}
	img := current(t, a)
	c := img.Config()
	if !slices.Equal(c.Config.Env, []string{`Path=C:\Windows;C:\app`, "BASE=2", "MORE=1", "APP=1"}) || c.OSVersion != "10.0.20348.2" ||
		len(c.Config.Labels) != 2 || c.Config.Labels["base"] != "2" || c.Config.Labels["own"] != "1" || c.Config.User != "me" || !slices.Equal(c.Config.Cmd, []string{"cmd"}) {
		t.Errorf("%s", img.RawConfig())
	}
	var by []string
	for _, h := range c.History {
		by = append(by, h.CreatedBy)
	}
	equal(t, by, []string{"base 2", "update", "app", "env"})
	if n := len(img.Layers()); n != 3 || img.Layers()[2].Descriptor.Digest != app.Layers()[1].Descriptor.Digest || img.Layers()[0].DiffID != from.Layers()[0].DiffID {
		t.Errorf("%d layers", n)
	}
	if got := img.Manifest().Annotations[ocispec.AnnotationBaseImageDigest]; got != from.Digest().String() {
		t.Errorf("annotation %q", got)
	}
	if bad := findings(t, img); len(bad) > 0 {
		t.Errorf("%q", bad)
	}
	if v, err := img.OSVersion(t.Context(), nil); err != nil || v.String() != "10.0.20348.2" {
		t.Errorf("%v, %v", v, err)
	}
	// And back: all of the image is as it was, but for what it had not from its base.
	b := assembly(t, img)
	if err := build.Rebase(b, from, old); err != nil {
		t.Fatal(err)
	}
	back := current(t, b)
	var got, want map[string]any
	if err := errors.Join(json.Unmarshal(back.RawConfig(), &got), json.Unmarshal(app.RawConfig(), &want)); err != nil {
		t.Fatal(err)
	}
	if g, w := mustJSON(t, got), mustJSON(t, want); g != w {
		t.Errorf("%s\n%s", g, w)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRebaseRefuses(t *testing.T) {
	old, app, from := rebaseImages(t)
	var parts *build.BaseError
	a := assembly(t, app)
	if err := build.Rebase(a, from, old); !errors.As(err, &parts) || parts.Layer != 0 || parts.Want != from.Layers()[0].DiffID || parts.Got != app.Layers()[0].DiffID {
		t.Errorf("another base: %v", err)
	}
	if err := build.Rebase(assembly(t, old), app, from); !errors.As(err, &parts) || parts.Layer != 1 || parts.Got != "" {
		t.Errorf("more layers: %v", err)
	}
	arm := config(hives.ServerCore(20348, 2))
	arm.Architecture = "arm64"
	if err := build.Rebase(a, old, openImage(t, arm, baseLayer(t, hives.ServerCore(20348, 2)))); !errors.Is(err, build.ErrPlatform) {
		t.Errorf("another architecture: %v", err)
	}
	if current(t, a).Digest() == "" || len(a.Layers()) != 2 {
		t.Error("a refused change has changed the image")
	}
}
