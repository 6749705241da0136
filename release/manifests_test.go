package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The manifests hold what the types of Kubernetes have, and their paths agree with each
// other: containerd is given paths that must be the same in the pod and on the node.
func TestManifests(t *testing.T) {
	dir := filepath.Join("..", "contrib", "kubernetes")
	decode := func(name string, v any) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("\n---")) {
			t.Fatalf("%s: more than one document", name)
		}
		if err := yaml.UnmarshalStrict(text, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var ns corev1.Namespace
	decode("namespace.yaml", &ns)
	var ds appsv1.DaemonSet
	decode("daemonset.yaml", &ds)
	var k struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace"`
		Resources  []string
		Images     []struct{ Name, NewName, NewTag string }
	}
	decode("kustomization.yaml", &k)

	if ns.APIVersion != "v1" || ns.Kind != "Namespace" || ds.APIVersion != "apps/v1" || ds.Kind != "DaemonSet" {
		t.Errorf("kinds: %+v, %+v", ns.TypeMeta, ds.TypeMeta)
	}
	if ds.Namespace != ns.Name || k.Namespace != ns.Name {
		t.Errorf("namespaces %q, %q and %q", ds.Namespace, k.Namespace, ns.Name)
	}
	for _, name := range k.Resources {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	for key, value := range ds.Spec.Selector.MatchLabels {
		if ds.Spec.Template.Labels[key] != value {
			t.Errorf("the selector %s=%s does not match the template", key, value)
		}
	}
	pod := ds.Spec.Template.Spec
	c := pod.Containers[0]
	if len(k.Images) != 1 || k.Images[0].Name != c.Image {
		t.Errorf("kustomization sets the image %+v, the container has %q", k.Images, c.Image)
	}
	volumes := map[string]corev1.Volume{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
	}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		v, ok := volumes[m.Name]
		if !ok {
			t.Errorf("no volume %q", m.Name)
		}
		if v.HostPath != nil && v.HostPath.Path != m.MountPath {
			t.Errorf("volume %s is %s on the node and %s in the pod", m.Name, v.HostPath.Path, m.MountPath)
		}
		mounted[m.MountPath] = true
	}
	for _, arg := range c.Args {
		for _, prefix := range []string{"--root=", "--address=", "--containerd="} {
			path, ok := bytes.CutPrefix([]byte(arg), []byte(prefix))
			if !ok {
				continue
			}
			if p := string(path); !mounted[p] && !mounted[filepath.Dir(p)] {
				t.Errorf("%s is on no volume", arg)
			}
		}
	}
}
