package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/inventory"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
)

// sbomFormat is a format of a bill of materials.
type sbomFormat struct {
	name      string
	mediaType string // "" for a format that is not kept beside an image
	write     func(*console, io.Writer, *sbom) error
}

// sbom is what the formats are made of.
type sbom struct {
	all     *inventory.Inventory // what was found
	listed  *inventory.Inventory // the kinds that were asked for
	chosen  bool                 // by --kind
	subject inventory.Subject
}

// The formats that are chosen where -f is not given.
const (
	sbomDefault = "cyclonedx"
	sbomTable   = "table"
	sbomJSON    = "json"
)

// sbomFormats lists the formats.
var sbomFormats = []sbomFormat{
	{sbomDefault, inventory.MediaTypeCycloneDX, standardSBOM(inventory.WriteCycloneDX)},
	{"spdx", inventory.MediaTypeSPDX, standardSBOM(inventory.WriteSPDX)},
	{"syft", inventory.MediaTypeSyft, standardSBOM(inventory.WriteSyft)},
	{sbomTable, "", writeSBOMTable},
	{sbomJSON, "", writeSBOMJSON},
}

func standardSBOM(write func(io.Writer, *inventory.Inventory, inventory.Subject) error) func(*console, io.Writer, *sbom) error {
	return func(_ *console, w io.Writer, s *sbom) error { return write(&jsonText{w: w}, s.listed, s.subject) }
}

// sbomLeftOut are kinds that are listed only if they are asked for: they are parts of Windows
// and of programs, hundreds in every image.
var sbomLeftOut = []inventory.Kind{inventory.Service, inventory.Driver}

type sbomCommand struct {
	content      contentFlags
	out          outputFlags
	format       string
	kinds        []string
	files        string
	filesGiven   bool
	languages    bool
	registryOnly bool
	attach       bool
	fromRegistry bool
}

func newSBOMCommand(c *console) *cobra.Command {
	s := &sbomCommand{out: outputFlags{text: true}} // what is not for people is JSON
	s.content.layer = -1
	cmd := &cobra.Command{
		Use:   "sbom IMAGE|LAYER",
		Short: "List the software in an image as a bill of materials",
		Long: `List the software that is installed in an image, with the changes of all layers,
or in a layer with those that --parent names below it: Windows itself, its
updates and packages, programs and runtimes, executable files, and with
--languages the packages of programming languages. Services and drivers are
listed with --kind service,driver or --kind all, and the executable files of
Windows itself with --files all. --registry-only leaves all files unread but the
registry of the system, which answers for unpacked layers at once.

The formats are cyclonedx (CycloneDX 1.6), spdx (SPDX 2.3), syft (Syft's own
format, which Grype reads), json (docs/schema/sbom.json) and table, which is the
default on a terminal; elsewhere it is cyclonedx. A table counts a kind of more
than 100 components and lists it with --kind. Equal images with the same name
produce equal bytes: the time in a document is the image's. What could not be
read is in the document, and on standard error.

--attach keeps the document beside the image in its registry or OCI layout, as
a referrer. --from-registry prints the latest that is kept there, of the format
-f, instead of reading the image.

` + referenceHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.filesGiven = cmd.Flags().Changed("files")
			return s.run(cmd.Context(), c, args[0])
		},
	}
	s.content.image.add(cmd)
	s.content.options.addParents(cmd)
	cmd.Flags().StringVarP(&s.format, "format", "f", "", "`FORMAT` of the document: "+strings.Join(sbomNames(), ", "))
	cmd.Flags().StringSliceVar(&s.kinds, "kind", nil, "list only components of the `KIND`s, separated by commas: "+strings.Join(sbomKinds(), ", "))
	cmd.Flags().StringVar(&s.files, "files", string(inventory.ProgramExecutables), "list executable `FILES`: none, programs (all but those of Windows), all")
	cmd.Flags().BoolVar(&s.languages, "languages", false, "list packages of programming languages too")
	cmd.Flags().BoolVar(&s.registryOnly, "registry-only", false, "list what the registry of the system has, and read no other files")
	cmd.Flags().BoolVar(&s.attach, "attach", false, "keep the document beside the image")
	cmd.Flags().BoolVar(&s.fromRegistry, "from-registry", false, "print the document that is kept beside the image")
	s.out.add(cmd, "the document")
	return cmd
}

func sbomNames() []string {
	var names []string
	for _, f := range sbomFormats {
		names = append(names, f.name)
	}
	return names
}

// sbomFiles are the values of --files.
var sbomFiles = []string{string(inventory.NoExecutables), string(inventory.ProgramExecutables), string(inventory.AllExecutables)}

// sbomKinds are the values of --kind.
func sbomKinds() []string {
	var names []string
	for _, k := range inventory.Kinds() {
		names = append(names, string(k))
	}
	return append(names, "all")
}

// chosen returns the format: that of -f, or the one for where the output goes.
func (s *sbomCommand) chosen(c *console) (sbomFormat, error) {
	name := s.format
	if name == "" {
		file := s.out.path != "" && s.out.path != "-"
		switch {
		case file, s.attach, s.fromRegistry:
			name = sbomDefault
		case c.json:
			name = sbomJSON
		case c.terminal:
			name = sbomTable
		default:
			name = sbomDefault
		}
	}
	at := slices.IndexFunc(sbomFormats, func(f sbomFormat) bool { return f.name == name })
	if at < 0 {
		return sbomFormat{}, usagef("-f %s: unknown format, want one of %s", name, strings.Join(sbomNames(), ", "))
	}
	f := sbomFormats[at]
	switch {
	case (s.attach || s.fromRegistry) && f.mediaType == "":
		return f, usagef("-f %s: documents beside an image have one of the formats cyclonedx, spdx, syft", name)
	case c.json && f.name == sbomTable && s.out.path == "":
		return f, usagef("--json and -f table exclude each other")
	}
	return f, nil
}

func (s *sbomCommand) run(ctx context.Context, c *console, ref string) (err error) {
	format, err := s.chosen(c)
	if err != nil {
		return err
	}
	kinds, err := s.selected()
	if err != nil {
		return err
	}
	if s.fromRegistry && (s.attach || s.languages || s.registryOnly || s.filesGiven || len(s.kinds) > 0) {
		return usagef("--from-registry prints a document as it is, and excludes --attach, --languages, --registry-only, --files and --kind")
	}
	if !slices.Contains(sbomFiles, s.files) {
		return usagef("--files %s: want one of %s", s.files, strings.Join(sbomFiles, ", "))
	}
	files := inventory.Executables(s.files)
	if len(s.kinds) > 0 && !s.filesGiven && !slices.Contains(kinds, inventory.Executable) {
		files = inventory.NoExecutables // none is listed, so none is read
	}
	with := []inventory.Option{inventory.WithExecutables(files)}
	if s.registryOnly {
		if s.languages || s.filesGiven {
			return usagef("--registry-only reads no files, and excludes --languages and --files")
		}
		with = []inventory.Option{inventory.WithExecutables(inventory.NoExecutables), inventory.WithRegistryOnly()}
	}
	if s.languages {
		if _, err := inventory.Languages(); err != nil {
			return languagesHint(err)
		}
		with = append(with, inventory.WithLanguages())
	}
	if err := s.content.check(ref); err != nil {
		return err
	}
	if _, ok := parseLayerRef(ref); ok && (s.attach || s.fromRegistry) {
		return usagef("--attach and --from-registry are for images, %s is a layer", ref)
	}
	if s.out.path == "" && s.attach {
		return s.make(ctx, c, ref, format, kinds, with, io.Discard)
	}
	// The file is created first: an image can take minutes to read, and is not changed for a
	// command that cannot write its file.
	return s.out.write(c, func(w io.Writer) error { return s.make(ctx, c, ref, format, kinds, with, w) })
}

// make writes the document about an image or a layer to w, and keeps it beside the image with
// --attach.
func (s *sbomCommand) make(ctx context.Context, c *console, ref string, format sbomFormat, kinds []inventory.Kind, with []inventory.Option, w io.Writer) (err error) {
	doc := &sbom{chosen: len(s.kinds) > 0}
	if _, ok := parseLayerRef(ref); ok {
		if doc.all, doc.subject, err = s.content.inventory(ctx, c, ref, with...); err != nil {
			return err
		}
		warnSkipped(c, doc.all)
		doc.listed = doc.all.Select(kinds...)
		return format.write(c, w, doc)
	}
	img, err := s.content.image.open(ctx, c, ref, c.layerProgress())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if s.fromRegistry {
		return s.print(ctx, c, img, format, w)
	}
	if doc.all, doc.subject, err = inventory.Of(ctx, img, with...); err != nil {
		return inventoryHint(err)
	}
	c.stopProgress()
	var warnings hiveWarnings
	for _, f := range doc.all.Warnings {
		warnings.add(f)
	}
	warnings.print(c)
	warnSkipped(c, doc.all)
	doc.listed = doc.all.Select(kinds...)
	if !s.attach {
		return format.write(c, w, doc)
	}
	return s.keep(ctx, c, img, format, doc, w)
}

// selected returns the kinds of components that are listed.
func (s *sbomCommand) selected() ([]inventory.Kind, error) {
	all := inventory.Kinds()
	if len(s.kinds) == 0 {
		return slices.DeleteFunc(all, func(k inventory.Kind) bool { return slices.Contains(sbomLeftOut, k) }), nil
	}
	var kinds []inventory.Kind
	for _, name := range s.kinds {
		name = strings.TrimSpace(name)
		switch {
		case name == "all":
			return all, nil
		case !slices.Contains(all, inventory.Kind(name)):
			return nil, usagef("--kind %.40q: unknown kind, want some of %s", name, strings.Join(sbomKinds(), ", "))
		}
		kinds = append(kinds, inventory.Kind(name))
	}
	return kinds, nil
}

// languagesHint adds advice to the error for a program without catalogers of languages.
func languagesHint(err error) error {
	return hintf(err, "the program mullion-scan has them: cd contrib/scan && go build ./cmd/mullion-scan, in the source")
}

// warnSkipped prints the items that were skipped.
func warnSkipped(c *console, inv *inventory.Inventory) {
	for i, x := range inv.Skipped {
		if i == maxSkippedLines {
			if n := len(inv.Skipped) - i; moreSkipped(inv) {
				c.warnf("more than %d more items are skipped; the document lists %d", n-1, n-1)
			} else {
				c.warnf("%d more items are skipped; the document lists them", n)
			}
			break
		}
		c.warnf("skipped: %s", x)
	}
}

// maxSkippedLines is the number of skipped items that are printed.
const maxSkippedLines = 10

// keep attaches the document to the image, and writes it to the file of -o, w, too.
func (s *sbomCommand) keep(ctx context.Context, c *console, img *image.Image, format sbomFormat, doc *sbom, w io.Writer) error {
	var b limitedBuffer
	if err := format.write(c, &b, doc); err != nil {
		return err
	}
	r := image.Referrer{Type: format.mediaType, Content: b.Bytes()}
	if t := doc.subject.Created; !t.IsZero() {
		r.Annotations = map[string]string{ocispec.AnnotationCreated: t.UTC().Format(time.RFC3339)}
	}
	if err := img.Attach(ctx, &r); err != nil {
		return referrersHint(imageHint(destinationError(img.Reference().String(), err)))
	}
	if s.out.path != "" {
		_, err := w.Write(r.Content)
		return err
	}
	if c.json {
		size := int64(len(r.Content))
		return c.printJSON(&sbomAttached{Reference: img.Reference().String(), Subject: string(img.Digest()),
			Digest: string(r.Descriptor.Digest), MediaType: r.Type, Size: size})
	}
	return c.printf("%s\n", string(r.Descriptor.Digest))
}

// sbomAttached is the output of "mullion sbom --attach --json".
type sbomAttached struct {
	Reference string `json:"reference"`
	Subject   string `json:"subject"` // digest of the image
	Digest    string `json:"digest"`  // of the manifest of the document
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"` // bytes of the document
}

// print writes the latest document beside an image to w.
func (s *sbomCommand) print(ctx context.Context, c *console, img *image.Image, format sbomFormat, w io.Writer) error {
	list, err := img.Referrers(ctx, format.mediaType)
	if err != nil {
		return referrersHint(imageHint(err))
	}
	if len(list) == 0 {
		return hintf(fmt.Errorf("%w: no bill of materials in the format %s is kept beside %s", image.ErrNotFound, format.name, img.Digest()),
			"without --from-registry the image is read; --attach keeps the result there")
	}
	r := list[len(list)-1]
	if len(list) > 1 {
		c.warnf("%d documents in the format %s are kept beside the image; this is %s", len(list), format.name, r.Descriptor.Digest)
	}
	b, err := img.ReadReferrer(ctx, r)
	if err != nil {
		return imageHint(err)
	}
	c.stopProgress()
	if c.terminal { // elsewhere it is what is kept, byte for byte
		w = &jsonText{w: w}
	}
	_, err = w.Write(b)
	return err
}

// referrersHint adds advice to the error about a place that keeps no documents.
func referrersHint(err error) error {
	if errors.Is(err, image.ErrReferrers) {
		return hintf(err, "an image in a registry or in an OCI layout can have them; -o writes the document to a file")
	}
	return err
}

// limitedBuffer holds a document that is attached.
type limitedBuffer struct{ b []byte }

func (b *limitedBuffer) Bytes() []byte { return b.b }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.b)+len(p) > image.MaxReferrer {
		return 0, fmt.Errorf("the document has more than %d bytes", image.MaxReferrer)
	}
	b.b = append(b.b, p...)
	return len(p), nil
}
