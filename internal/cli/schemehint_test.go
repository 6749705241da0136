package cli

import "testing"

func TestSchemeHint(t *testing.T) {
	hub := func(ref string) string {
		return ref + " has no scheme, so it is an image on Docker Hub; an image layout is oci:" + ref + ", an image in a file oci-archive:" + ref
	}
	for ref, want := range map[string]string{
		"oci-archiv:hello.tar":      "oci-archive:hello.tar",
		"ocl:dir:v1":                "oci:dir:v1",
		"docker-achive:/tmp/a.tar":  "docker-archive:/tmp/a.tar",
		"tarr:layer.tar":            "tar:layer.tar",
		"nope":                      hub("nope"),
		"app:1":                     hub("app:1"),
		"library/app:1":             hub("library/app:1"),
		"oci:nope":                  "",
		"oci-archive:nope.tar":      "",
		"docker://registry/app":     "",
		"containerd:k8s.io/x/app":   "",
		"registry.example.com/app":  "",
		"localhost/app:1":           "",
		"localhost:5000/app:1":      "",
		"registry:5000/app@sha256:": "",
	} {
		if got := schemeHint(ref); got != want {
			t.Errorf("schemeHint(%q) = %q, want %q", ref, got, want)
		}
	}
}
