package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mullion/mullion/image"
	_ "github.com/mullion/mullion/image/all"
	"github.com/mullion/mullion/image/containerd"
	"github.com/mullion/mullion/image/registry"
	"github.com/spf13/cobra"
)

// imageFlags are the flags of all commands that accept an image reference.
type imageFlags struct {
	platform  string
	plainHTTP bool
	foreign   bool
	private   bool

	containerd string
}

func (f *imageFlags) add(cmd *cobra.Command) {
	f.addChoice(cmd)
	cmd.Flags().BoolVar(&f.foreign, "foreign", false, "download foreign layers from the URLs in the manifest")
	cmd.Flags().Lookup("private-network").Usage = "allow redirects and foreign URLs to private addresses"
}

// addChoice adds the flags of commands that read no layers.
func (f *imageFlags) addChoice(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.platform, "platform", "", "choose from an index the image for `PLATFORM`, for example windows(10.0.20348)/amd64")
	cmd.Flags().BoolVar(&f.plainHTTP, "plain-http", false, "use HTTP instead of HTTPS for registries")
	cmd.Flags().BoolVar(&f.private, "private-network", false, "allow redirects to private addresses")
	addContainerd(cmd, &f.containerd)
}

// given returns the name of a flag that is set, or "" if there is none.
func (f *imageFlags) given() string {
	switch {
	case f.platform != "":
		return "platform"
	case f.plainHTTP:
		return "plain-http"
	case f.foreign:
		return "foreign"
	case f.private:
		return "private-network"
	}
	return ""
}

// options converts the flags to options of package image.
func (f *imageFlags) options(c *console) ([]image.Option, error) {
	opts := []image.Option{image.WithLimits(c.limits), image.WithTransport(containerd.New(containerd.WithAddress(f.containerd)))}
	kept, err := c.openCache()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kept...)
	if f.platform != "" {
		p, err := image.ParsePlatform(f.platform)
		if err != nil {
			return nil, usagef("--platform: %v", err)
		}
		opts = append(opts, image.WithPlatform(p))
	}
	if f.foreign {
		opts = append(opts, image.WithForeign())
	}
	var remote []registry.Option
	if f.plainHTTP {
		remote = append(remote, registry.WithPlainHTTP())
	}
	if f.private {
		remote = append(remote, registry.WithPrivateNetwork())
	}
	return append(opts, image.WithTransport(registry.New(remote...))), nil
}

// layerProgress counts the bytes read from layers and draws a progress bar for each
// layer.
func (c *console) layerProgress() image.Option {
	return image.WithProgress(func(l *image.Layer) (func(int64), func()) {
		b := c.progress(fmt.Sprintf("layer %d", l.Index), l.Descriptor.Size)
		return func(n int64) { c.bytesRead.Add(n); b.add(n) }, b.done
	})
}

// open opens an image.
func (f *imageFlags) open(ctx context.Context, c *console, ref string, more ...image.Option) (*image.Image, error) {
	opts, err := f.options(c)
	if err != nil {
		return nil, err
	}
	if namesFile(ref) {
		return nil, nameHint(c.command, ref, fmt.Errorf("%s: %w", ref, errNamesFile))
	}
	img, err := image.Open(ctx, ref, append(opts, more...)...)
	if err != nil {
		return nil, imageHintAt(ref, nameHint(c.command, ref, err))
	}
	for _, l := range img.Layers() {
		if !l.Indexed() {
			sparing()
			break
		}
	}
	return img, nil
}

var errNamesFile = errors.New("the name of a file, without the scheme of a reference")

// namesFile reports whether a reference without a scheme is the name of a file here. No
// registry is then asked for it: the file is what is meant, and its name is nobody's business.
func namesFile(ref string) bool {
	if scheme, _, ok := strings.Cut(ref, ":"); ok && slices.Contains(imageSchemes, scheme) {
		return false
	}
	st, err := os.Stat(ref)
	return err == nil && st.Mode().IsRegular()
}

// destinationError names the target of a command in an error that is about it, instead of
// the image that is read.
func destinationError(target string, err error) error {
	var dst *image.DestinationError
	if errors.As(err, &dst) {
		return about(target, dst.Err)
	}
	return err
}

// nameHint adds advice if ref is a layer reference, or has no scheme and is looked up in a
// registry.
func nameHint(command, ref string, err error) error {
	if err == nil {
		return nil
	}
	if hint := fileHint(command, ref); hint != "" {
		return hintf(err, "%s", hint)
	}
	return err
}

func fileHint(command, ref string) string {
	if _, ok := parseLayerRef(ref); ok {
		return ref + " is a layer; an image is oci:DIR, oci-archive:FILE, docker-archive:FILE, containerd:NAME or the name of one in a registry"
	}
	st, err := os.Stat(ref)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return schemeHint(ref)
	case err != nil:
		return ""
	}
	if f, ok := sniff(ref); ok {
		return f.advice(command, ref)
	}
	switch {
	case st.IsDir():
		return fmt.Sprintf("%s is a directory here: an image layout is oci:%[1]s, a layer directory wclayer:%[1]s", ref)
	case strings.EqualFold(filepath.Ext(ref), ".cim"):
		return fmt.Sprintf("%s is a file here: a CimFS image is cim:%[1]s", ref)
	}
	return fmt.Sprintf("%s is a file here: an image is oci-archive:%[1]s or docker-archive:%[1]s, a layer tar:%[1]s", ref)
}

// schemeHint returns advice on a reference without a scheme, or with a misspelt one, that
// names no file and is read as a name on Docker Hub.
func schemeHint(ref string) string {
	first, _, path := strings.Cut(ref, "/")
	word, rest, colon := strings.Cut(ref, ":")
	if slices.Contains(imageSchemes, word) && colon {
		return ""
	}
	if colon && len(word) < len(first) {
		spelt := &cobra.Command{SuggestionsMinimumDistance: max(1, len(word)/4)}
		for _, scheme := range slices.Concat(imageSchemes, []string{"tar", "wclayer", "cim"}) {
			spelt.AddCommand(&cobra.Command{Use: scheme, Run: func(*cobra.Command, []string) {}})
		}
		if near := spelt.SuggestionsFor(word); len(near) == 1 {
			return near[0] + ":" + rest
		}
	}
	if path && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		return ""
	}
	return fmt.Sprintf("%s has no scheme, so it is an image on Docker Hub; an image layout is oci:%[1]s, an image in a file oci-archive:%[1]s", ref)
}

// imageSchemes are the schemes of image references.
var imageSchemes = []string{image.Layout, image.OCIArchive, image.DockerArchive, image.Registry, image.Containerd}

// imageHint adds advice to errors of package image.
func imageHint(err error) error { return imageHintAt("", err) }

// imageHintAt is imageHint for the error of opening ref.
func imageHintAt(ref string, err error) error {
	var many *image.AmbiguousError
	var hinted *hintedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &hinted):
		return err
	case errors.As(err, &many):
		return hintf(listCandidates(ref, err, many), "%s", chooseHint(ref, many.Candidates))
	case errors.Is(err, image.ErrReference):
		return hintf(err, "see mullion --help for the forms of a reference")
	case errors.Is(err, image.ErrForeign):
		return hintf(err, "--foreign fetches it from the URLs in the manifest")
	case registry.PrivateAddress(err):
		return hintf(err, "--private-network allows private addresses")
	}
	return err
}

// maxCandidates is the number of images that an error lists.
const maxCandidates = 16

// listCandidates returns the error about several images with one of them on a line: a whole
// reference and its platform.
func listCandidates(ref string, err error, many *image.AmbiguousError) error {
	l := &listedError{err: err, text: strings.ReplaceAll(err.Error(), many.Error(), image.ErrAmbiguous.Error())}
	for i, c := range many.Candidates {
		if i == maxCandidates {
			l.lines = append(l.lines, fmt.Sprintf("and %d more", len(many.Candidates)-i))
			break
		}
		line := wholeReference(ref, c, "") + "  " + c.Platform.String()
		if c.Name != "" {
			line += "  (" + c.Name + ")"
		}
		if c.Absent {
			line += "  (named, not stored)"
		}
		l.lines = append(l.lines, line)
	}
	return l
}

// wholeReference returns a reference to a candidate of ref, by its tag if one is given,
// otherwise by its digest.
func wholeReference(ref string, c image.Candidate, tag string) string {
	digest := "@" + string(c.Descriptor.Digest)
	r, err := image.ParseReference(ref)
	if err != nil {
		return digest
	}
	switch r.Transport {
	case image.Layout, image.OCIArchive, image.DockerArchive:
		if r.Name, r.Digest = tag, c.Descriptor.Digest; tag != "" {
			r.Digest = ""
		}
		return r.String()
	case image.Registry:
		name, _, _ := strings.Cut(strings.TrimPrefix(ref, "docker://"), "@")
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			name = name[:i]
		}
		return name + digest
	}
	return digest
}

// chooseHint returns advice on selecting one of several images, by a property in which
// the first one differs from all others.
func chooseHint(ref string, all []image.Candidate) string {
	alone := func(same func(a, b image.Candidate) bool) bool {
		return !slices.ContainsFunc(all[1:], func(c image.Candidate) bool { return same(all[0], c) })
	}
	first := all[0]
	switch {
	case alone(func(a, b image.Candidate) bool { return a.Platform.Runs(b.Platform) }):
		return fmt.Sprintf("choose one by its platform, as in --platform '%s'", first.Platform)
	case first.Name != "" && alone(func(a, b image.Candidate) bool { return a.Name == b.Name }):
		return "name one by its tag: " + wholeReference(ref, first, first.Name)
	}
	return "name one by its digest: " + wholeReference(ref, first, "")
}
