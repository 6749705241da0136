package snapshotter_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/mullion/mullion/cimlayer"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/snapshotter"
	"github.com/mullion/mullion/wintar"
)

// A layer is unpacked as containerd does it: prepare, apply, commit.
func Example() {
	dir, err := os.MkdirTemp("", "snapshotter")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := namespaces.WithNamespace(context.Background(), "default")

	var tar bytes.Buffer
	w := wintar.NewWriter(&tar)
	for _, name := range []string{`Files`, `Files\Program Files`} {
		if err := w.Add(&layer.Entry{Path: name, Kind: layer.Dir}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		log.Fatal(err)
	}

	// In the place of containerd's own store, which core/content/proxy speaks to.
	blobs, err := local.NewStore(filepath.Join(dir, "content"))
	if err != nil {
		log.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(tar.Bytes()), Size: int64(tar.Len())}
	if err := content.WriteBlob(ctx, blobs, "layer", &tar, desc); err != nil {
		log.Fatal(err)
	}

	s, err := snapshotter.New(snapshotter.Config{
		Root:         filepath.Join(dir, "root"),
		Content:      blobs,
		MissingHives: cimlayer.LeaveMissing, // this image will not start
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	chainID := desc.Digest.String() // of a single layer it is the diff ID
	mounts, err := s.Snapshotter().Prepare(ctx, "unpack", "", snapshots.WithLabels(map[string]string{
		snapshots.LabelSnapshotRef: chainID,
	}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.Differ().Apply(ctx, desc, mounts); err != nil {
		log.Fatal(err)
	}
	if err := s.Snapshotter().Commit(ctx, chainID, "unpack"); err != nil {
		log.Fatal(err)
	}

	info, err := s.Snapshotter().Stat(ctx, chainID)
	if err != nil {
		log.Fatal(err)
	}
	im, err := s.Store().Open(chainID)
	if err != nil {
		log.Fatal(err)
	}
	defer im.Close()
	f, err := im.Lookup(`files\PROGRAM FILES`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(mounts[0].Type, info.Kind, f.IsDir())
	// Output: CimFS Committed true
}
