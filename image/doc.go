// Package image opens Windows container images, wherever they are kept, as chains
// of layers, and copies them from one place to another.
//
// # Images
//
// An image is a small tree of documents that name each other by digest. At the
// leaves are the layers, compressed tars. A configuration says for which operating
// system they are and lists their diff IDs; a manifest names the configuration and
// the layers, base first. Above them there may be an index, which lists manifests
// for several platforms. Windows has one more dimension than others: a container
// must have been built for the build of the host it runs on, so an index can hold
// several images for windows/amd64 that differ in their OS version alone, such as
// 10.0.17763.6189 and 10.0.20348.2700. [Platform] knows which host runs which.
//
// Base layers of Windows were for years not allowed to be copied to other
// registries. Such foreign layers are descriptors with URLs; their bytes come from
// there when the registry or the archive does not have them.
//
// # Where images are kept
//
//	oci:DIR[:TAG]               an OCI image layout
//	oci-archive:FILE[:TAG]      the same in a tar
//	docker-archive:FILE[:NAME]  the output of docker save
//	docker://NAME, or NAME      a registry
//	containerd:[NAMESPACE/]NAME the content store of a containerd
//
// Each kind of place has a package that makes [Open] and [Copy] understand its references
// when a program imports it: image/layout, image/archive, image/registry and
// image/containerd. Package image/all imports all of them.
//
// [Open] chooses one image from those that such a reference names. Documents are verified
// when they are read, layers while they are read: a [layer.Reader] from this package
// reports its end only when digest, size and diff ID have held.
//
//	import _ "github.com/mullion/mullion/image/archive"
//
//	img, err := image.Open(ctx, "oci-archive:hello.tar")
//	defer img.Close()
//	for _, l := range img.Layers() { // base first
//		r, err := l.Open(ctx)
//		...
//	}
package image
