package image

import (
	"errors"
	"slices"
	"testing"
)

func TestParsePlatform(t *testing.T) {
	for _, c := range []struct {
		text string
		want Platform
	}{
		{"windows", Platform{OS: "windows"}},
		{"windows/amd64", Platform{OS: "windows", Architecture: "amd64"}},
		{"windows(10.0.20348)/amd64", Platform{OS: "windows", OSVersion: "10.0.20348", Architecture: "amd64"}},
		{"windows(10.0.20348.2700+win32k)/amd64", Platform{OS: "windows", OSVersion: "10.0.20348.2700", OSFeatures: []string{"win32k"}, Architecture: "amd64"}},
		{"linux/arm64/v8", Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}},
	} {
		got, err := ParsePlatform(c.text)
		if err != nil || got.OS != c.want.OS || got.OSVersion != c.want.OSVersion || got.Architecture != c.want.Architecture ||
			got.Variant != c.want.Variant || !slices.Equal(got.OSFeatures, c.want.OSFeatures) {
			t.Errorf("ParsePlatform(%q) = %+v, %v", c.text, got, err)
		}
		if got.String() != c.text {
			t.Errorf("%q is written %q", c.text, got)
		}
	}
	for _, bad := range []string{"", "/amd64", "windows/", "windows(", "windows(10.0)/amd64", "windows(10.0.x)/amd64",
		"windows(10.0.1", "win dows/amd64", "windows/amd64/", "windows(10.0.99999999999)/amd64"} {
		if p, err := ParsePlatform(bad); !errors.Is(err, ErrPlatform) {
			t.Errorf("ParsePlatform(%q) = %+v, %v", bad, p, err)
		}
	}
}

func TestRuns(t *testing.T) {
	for _, c := range []struct {
		host, image string
		want        bool
	}{
		{"10.0.17763.1", "10.0.17763.6189", true}, // the revision does not matter
		{"10.0.17763.1", "10.0.14393.1", false},   // below 20348 the build is exact
		{"10.0.19041.1", "10.0.17763.1", false},   //
		{"10.0.20348.1", "10.0.20348.2700", true}, //
		{"10.0.20348.1", "10.0.19041.1", false},   // 20348 is its own floor
		{"10.0.20348.1", "10.0.26100.1", false},   // never newer than the host
		{"10.0.22621.1", "10.0.20348.1", true},    //
		{"10.0.26100.1", "10.0.20348.1", true},    // a long-term host reaches to the one before
		{"10.0.26100.1", "10.0.20347.1", false},   //
		{"10.0.26100.1", "10.0.25398.1", true},    //
		{"10.0.27000.1", "10.0.25398.1", false},   // floor is now 26100
		{"10.0.27000.1", "10.0.26100.1", true},    //
		{"6.3.9600", "10.0.9600", false},          // major and minor must match
		{"", "10.0.17763.1", true},                // unknown runs everything
		{"10.0.17763.1", "", true},                //
		{"10.0.20348", "10.0.20348.2700", true},   //
		{"10.0.20348", "nonsense", false},         //
		{"10.0.20348.9999", "10.0.20348.1.1", false},
	} {
		host := Platform{OS: "windows", OSVersion: c.host, Architecture: "amd64"}
		img := Platform{OS: "windows", OSVersion: c.image, Architecture: "amd64"}
		if got := host.Runs(img); got != c.want {
			t.Errorf("host %q, image %q: %v", c.host, c.image, got)
		}
	}
	amd, arm := Platform{OS: "windows", Architecture: "amd64"}, Platform{OS: "windows", Architecture: "arm64"}
	if amd.Runs(arm) || amd.Runs(Platform{OS: "linux", Architecture: "amd64"}) || !(Platform{OS: "windows"}).Runs(arm) {
		t.Error("architecture or system")
	}
}

const digestOfNothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	for _, c := range []struct {
		text string
		want Reference
	}{
		{"oci:dir", Reference{Transport: Layout, Path: "dir"}},
		{"oci:/a/b:v1", Reference{Transport: Layout, Path: "/a/b", Name: "v1"}},
		{"oci:dir:docker.io/library/x:v1", Reference{Transport: Layout, Path: "dir", Name: "docker.io/library/x:v1"}},
		{`oci:C:\dir:v1`, Reference{Transport: Layout, Path: `C:\dir`, Name: "v1"}},
		{"oci:C:/dir", Reference{Transport: Layout, Path: "C:/dir"}},
		{"oci-archive:f.tar", Reference{Transport: OCIArchive, Path: "f.tar"}},
		{"docker-archive:f.tar:name:tag", Reference{Transport: DockerArchive, Path: "f.tar", Name: "name:tag"}},
		{"docker://mcr.microsoft.com/windows/nanoserver:ltsc2022", Reference{Transport: Registry, Path: "mcr.microsoft.com/windows/nanoserver:ltsc2022"}},
		{"localhost:5000/a/b:c", Reference{Transport: Registry, Path: "localhost:5000/a/b:c"}},
		{"nanoserver", Reference{Transport: Registry, Path: "nanoserver"}},
		{"containerd:docker.io/library/x:v1", Reference{Transport: Containerd, Path: "docker.io/library/x:v1"}},
		{"containerd:k8s.io/docker.io/library/x:v1", Reference{Transport: Containerd, Path: "docker.io/library/x:v1", Name: "k8s.io"}},
		{"containerd:moby/example.com/x:v1", Reference{Transport: Containerd, Path: "example.com/x:v1", Name: "moby"}},
		{"containerd:moby/app:v1", Reference{Transport: Containerd, Path: "app:v1", Name: "moby"}},
		{"containerd:example.com/app:v1", Reference{Transport: Containerd, Path: "example.com/app:v1"}},
		{"containerd:localhost:5000/app:v1", Reference{Transport: Containerd, Path: "localhost:5000/app:v1"}},
		{"containerd:default/localhost/app@sha256:x", Reference{Transport: Containerd, Path: "localhost/app@sha256:x", Name: "default"}},
		{"oci:dir@" + digestOfNothing, Reference{Transport: Layout, Path: "dir", Digest: digestOfNothing}},
		{"oci:dir:v1@" + digestOfNothing, Reference{Transport: Layout, Path: "dir", Name: "v1", Digest: digestOfNothing}},
		{"oci-archive:a@b/f.tar@" + digestOfNothing, Reference{Transport: OCIArchive, Path: "a@b/f.tar", Digest: digestOfNothing}},
		{"oci:a@b", Reference{Transport: Layout, Path: "a@b"}},
		{"containerd:app", Reference{Transport: Containerd, Path: "app"}},
	} {
		if got, err := ParseReference(c.text); err != nil || got != c.want {
			t.Errorf("ParseReference(%q) = %+v, %v", c.text, got, err)
		} else if again, err := ParseReference(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q, which is %+v, %v", c.text, got, again, err)
		}
	}
	for _, bad := range []string{"", "oci:", "oci:dir@sha256:12", "oci:@" + digestOfNothing, "oci-archive:", "docker://", "UPPER/case:x", "tar:x", "wclayer:x", "cim:x", "a b", "containerd:", "containers-storage:x"} {
		if got, err := ParseReference(bad); !errors.Is(err, ErrReference) {
			t.Errorf("ParseReference(%q) = %+v, %v", bad, got, err)
		}
	}
}
