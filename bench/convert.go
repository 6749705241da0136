package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/wintar"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func init() {
	areas["convert"] = area{run: benchConvert, exec: map[string]func([]string) error{
		"plain-tar":   func(a []string) error { return plainTar(a[0], a[1]) },
		"zstd-frames": func(a []string) error { return zstdFrames(a[0]) },
	}}
}

// benchConvert converts the base layer of an image, and unpacks the image and others with
// more layers on top. Output goes to the disk, and all sides wait for it.
func benchConvert(cache string) error {
	s, err := findSubject(cache)
	if err != nil {
		return err
	}
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	tar2ext4 := filepath.Join(cache, "tar2ext4")
	var noTar2ext4 error
	if _, err := os.Stat(tar2ext4); err != nil {
		noTar2ext4 = build(".", tar2ext4, "github.com/Microsoft/hcsshim/cmd/tar2ext4")
	}
	return convertAll(os.Stdout, s, mullion, tar2ext4, noTar2ext4)
}

// convertAll measures the conversions with the programs and writes the tables to w.
func convertAll(w io.Writer, s *subject, mullion, tar2ext4 string, noTar2ext4 error) error {
	work, err := os.MkdirTemp(options.dir, "mullion-convert-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	c := &converter{subject: s, mullion: mullion, work: work, out: filepath.Join(work, "out"), plain: filepath.Join(work, "plain.tar")}
	if _, err := self("plain-tar", s.plan.Blobs[0], c.plain); err != nil {
		return errors.New(why(err))
	}
	info, err := os.Stat(c.plain)
	if err != nil {
		return err
	}
	out := filepath.Join(c.out, "out")
	blob := s.plan.Blobs[0]
	group := func(title string, cases ...table.Case) table.Group {
		return table.Group{Title: title, Bytes: info.Size(), Memory: allowance(s.plan.BaseEntries), Cases: cases}
	}
	pigz := c.shell("pigz -dc > FILE, sync", table.Peer, `pigz -dc "$0" > "$1" && sync "$1"`, blob, out)
	zstdTool := func(flags string) table.Case {
		return peer(c.shell("zstd "+flags+", sync", table.Peer, "zstd "+flags+` -q "$0" -o "$1" && sync "$1"`, c.plain, out), "zstd", nil)
	}
	copied := c.shell("cp, sync", table.Floor, `cp "$0" "$1" && sync "$1"`, c.plain, out)
	_, err = table.RunAll(w, fmt.Sprintf("Conversions of the base layer: %d entries, %.0f MB, on disk", s.plan.BaseEntries, float64(info.Size())/1e6), "work", []table.Group{
		group("stored layer to CIM", c.ours("tar:"+blob, "cim:"+out+".cim"), peer(pigz, "pigz", nil),
			table.Case{Name: "bare inflation and two hashes, one thread", Role: table.Floor, Command: table.Self("inflate-hash", blob)}),
		group("tar to CIM", c.ours("tar:"+c.plain, "cim:"+out+".cim"),
			peer(c.shell("tar2ext4, sync", table.Peer, `"$2" -i "$0" -o "$1" && sync "$1"`, c.plain, out, tar2ext4), tar2ext4, noTar2ext4), copied),
		group("tar to tar.zst", c.ours("tar:"+c.plain, "tar:"+out+".tar.zst", "--compress", "zstd"), zstdTool("-3"), zstdTool("-3 -T0"),
			// mullion computes the digest and the diff ID.
			peer(c.shell("zstd -3, sync, sha256sum of both", table.Peer, `zstd -3 -q "$0" -o "$1" && sync "$1" && sha256sum "$0" "$1"`, c.plain, out), "zstd", nil),
			table.Case{Name: "bare encoder, frames of 4 MiB, one thread, no output", Role: table.Floor, Command: table.Self("zstd-frames", c.plain)}, copied),
	})
	return errors.Join(err, c.unpackAll(w))
}

// converter makes the cases.
type converter struct {
	*subject
	mullion, work string
	out           string // a directory that is empty before each run
	plain         string // the base layer as a plain tar
}

func (c *converter) empty() error {
	return errors.Join(os.RemoveAll(c.out), os.Mkdir(c.out, 0o755))
}

func (c *converter) command(name string, args ...string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "MULLION_CACHE=off")
		return cmd, nil
	}
}

func (c *converter) ours(args ...string) table.Case {
	return table.Case{Name: "mullion convert", Role: table.Ours, Before: c.empty, Command: c.command(c.mullion, append([]string{"convert", "--quiet"}, args...)...)}
}

func (c *converter) shell(name string, role table.Role, script string, args ...string) table.Case {
	return table.Case{Name: name, Role: role, Before: c.empty, Command: c.command("sh", append([]string{"-c", script}, args...)...)}
}

// heights are the numbers of layers that are added on top of an image, one after the other.
var heights = []int{1, 2, 4, 8}

// unpackAll unpacks the image into an empty store, and then images with more and more layers
// of three files on top into a store that has the image.
func (c *converter) unpackAll(w io.Writer) error {
	layout, store := filepath.Join(c.work, "layout"), filepath.Join(c.work, "store")
	rounds := 4
	if table.Rounds != 0 {
		rounds = table.Rounds + 1
	}
	if err := c.makeTiny(layout, rounds); err != nil {
		return err
	}
	unpack := func(name, ref, to string) table.Case {
		return table.Case{Name: name, Role: table.Ours, Command: c.command(c.mullion, "unpack", "--quiet", "--hives", "create", ref, to)}
	}
	fresh := unpack("mullion unpack", c.ref, filepath.Join(c.out, "store"))
	fresh.Before = c.empty
	groups := []table.Group{{Title: "all layers", Runs: rounds - 1, Memory: allowance(c.plan.Entries), Cases: []table.Case{fresh,
		{Name: "bare inflation and two hashes, one thread", Role: table.Floor, Command: table.Self(append([]string{"inflate-hash"}, c.plan.Blobs...)...)}}}}
	prepared := false
	below := 0
	var more []table.Case
	for _, height := range heights {
		// Each round has layers of its own, so that none is in the store before.
		round := 0
		one := unpack("mullion unpack", "", "")
		one.Name = fmt.Sprintf("%d on %d", height-below, below)
		one.Items = int64(height - below)
		one.Before = func() error {
			if prepared {
				return nil
			}
			prepared = true
			cmd, err := unpack("", c.ref, store).Command()
			if err == nil {
				_, err = cmd.Output()
			}
			if err != nil {
				return errors.New(why(err))
			}
			return nil
		}
		one.Command = func() (*exec.Cmd, error) {
			ref := fmt.Sprintf("oci:%s:tiny%d-%d", layout, height, round)
			round++
			return unpack("", ref, store).Command()
		}
		more = append(more, one)
		below = height
	}
	groups = append(groups, table.Group{Title: "more layers of three files and a delta hive", Runs: rounds - 1, Memory: allowance(c.plan.Entries), Cases: more})
	_, err := table.RunAll(w, fmt.Sprintf("Unpacking the image, %d layers, %d entries, to a store of CIM layers on disk", c.plan.Layers, c.plan.Entries), "work", groups)
	return err
}

// makeTiny makes a layout with the blobs of the image and, for each round, tags tinyN-ROUND:
// the image with N more layers of three files.
func (c *converter) makeTiny(dir string, rounds int) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	index, err := readIndex(c.dir)
	if err != nil {
		return err
	}
	tag := c.ref[strings.LastIndexByte(c.ref, ':')+1:]
	var own ocispec.Descriptor
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == tag {
			own = d
		}
	}
	var manifest ocispec.Manifest
	var config ocispec.Image
	if err := c.document(own.Digest, &manifest); err != nil {
		return err
	}
	if err := c.document(manifest.Config.Digest, &config); err != nil {
		return err
	}
	for _, l := range manifest.Layers {
		from, to := filepath.Join(c.dir, "blobs", "sha256", l.Digest.Encoded()), filepath.Join(blobs, l.Digest.Encoded())
		if os.Link(from, to) != nil {
			if err := copyHive(from, to); err != nil {
				return err
			}
		}
	}
	put := func(like ocispec.Descriptor, raw []byte) (ocispec.Descriptor, error) {
		d := digest.FromBytes(raw)
		desc := ocispec.Descriptor{MediaType: like.MediaType, Digest: d, Size: int64(len(raw)), Platform: like.Platform}
		return desc, os.WriteFile(filepath.Join(blobs, d.Encoded()), raw, 0o644)
	}
	delta, err := oneKeyDelta(hives.System)
	if err != nil {
		return err
	}
	index.Manifests = nil
	for round := range rounds {
		m, cfg := manifest, config
		m.Layers, cfg.RootFS.DiffIDs, cfg.History = append([]ocispec.Descriptor{}, m.Layers...), append([]digest.Digest{}, cfg.RootFS.DiffIDs...), nil
		height := 0
		for _, next := range heights {
			for ; height < next; height++ {
				plain, stored, err := tinyLayer(fmt.Sprintf("%d-%d", round, height), delta)
				if err != nil {
					return err
				}
				d, err := put(ocispec.Descriptor{MediaType: tinyType(manifest.MediaType)}, stored)
				if err != nil {
					return err
				}
				m.Layers, cfg.RootFS.DiffIDs = append(m.Layers, d), append(cfg.RootFS.DiffIDs, digest.FromBytes(plain))
			}
			raw, err := json.Marshal(cfg)
			if err != nil {
				return err
			}
			if m.Config, err = put(manifest.Config, raw); err != nil {
				return err
			}
			if raw, err = json.Marshal(m); err != nil {
				return err
			}
			d, err := put(own, raw)
			if err != nil {
				return err
			}
			d.Annotations = map[string]string{ocispec.AnnotationRefName: fmt.Sprintf("tiny%d-%d", height, round)}
			index.Manifests = append(index.Manifests, d)
		}
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), raw, 0o644),
		os.WriteFile(filepath.Join(dir, ocispec.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}

// document reads a JSON document of the layout.
func (c *converter) document(d digest.Digest, to any) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", c.ref, err)
	}
	raw, err := os.ReadFile(filepath.Join(c.dir, "blobs", d.Algorithm().String(), d.Encoded()))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, to)
}

// tinyType is the type of a gzip layer in a manifest of the given type.
func tinyType(manifest string) string {
	if strings.HasPrefix(manifest, "application/vnd.docker.") {
		return "application/vnd.docker.image.rootfs.diff.tar.gzip"
	}
	return ocispec.MediaTypeImageLayerGzip
}

// tinyLayer makes a layer of three files and a delta of the SYSTEM hive, as a step of a build
// leaves it, plain and with gzip.
func tinyLayer(name string, delta []byte) (plain, stored []byte, err error) {
	var b, z bytes.Buffer
	w := wintar.NewWriter(&b)
	defer w.Close()
	err = addDirs(w, "Files", map[string]bool{})
	for i := range 3 {
		if err == nil {
			err = addFile(w, fmt.Sprintf(`Files\tiny-%s-%d.txt`, name, i), bytes.Repeat([]byte(name+"\r\n"), 300))
		}
	}
	if err == nil {
		err = addDirs(w, hives.HivesDir, map[string]bool{})
	}
	if err == nil {
		err = addFile(w, hives.System.Path(hives.Delta), delta)
	}
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		return nil, nil, err
	}
	gz, err := blob.NewWriter(&z, blob.Gzip)
	if err == nil {
		_, err = gz.Write(b.Bytes())
		err = errors.Join(err, gz.Close())
	}
	return b.Bytes(), z.Bytes(), err
}

// plainTar decompresses a blob.
func plainTar(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := blob.NewReader(context.Background(), f)
	if err != nil {
		return err
	}
	defer r.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}

// zstdFrames compresses a file with the encoder that mullion uses, as it uses it, and throws
// the frames away.
func zstdFrames(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	const frame = 4 << 20
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(frame), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	plain, packed := make([]byte, frame), []byte(nil)
	for {
		n, err := io.ReadFull(f, plain)
		packed = enc.EncodeAll(plain[:n], packed[:0])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return enc.Close()
		}
		if err != nil {
			return err
		}
	}
}
