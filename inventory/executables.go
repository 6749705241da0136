package inventory

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// Executables says which executable files an inventory lists.
type Executables string

// The choices of executables. Those of Windows are in Files\Windows, side-by-side store
// included, and outside Files, where the utility VM is; what version they have follows from
// the updates of Windows.
const (
	NoExecutables      Executables = "none"
	ProgramExecutables Executables = "programs" // all but those of Windows
	AllExecutables     Executables = "all"
)

// executableExtensions are those of files with code. Files .mui, which have resources alone
// in a language, are left out: each belongs to an executable.
var executableExtensions = map[string]bool{
	".exe": true, ".com": true, ".scr": true, ".cpl": true, ".efi": true,
	".dll": true, ".ocx": true, ".ax": true, ".node": true, ".pyd": true,
	".sys": true, ".drv": true,
}

// catalogDir is the directory with the catalogs of installed packages, in directories by
// GUID.
const catalogDir = `files\windows\system32\catroot\`

// The values of the property signature.
const (
	signedEmbedded = "embedded"
	signedCatalogs = "catalog"
	unsigned       = "none"
)

// executables finds PE files. Their signatures are in them, or in catalogs that can come
// before or after them.
type executables struct {
	scope    Executables
	catalogs catalogSet
	unsigned map[string]peDigests // by path
	buf      []byte
}

// peDigests are the digests by which a catalog has a file.
type peDigests struct {
	sha1   [sha1.Size]byte
	sha256 [sha256.Size]byte
}

func newExecutables(e Executables) *executables {
	return &executables{scope: e, unsigned: map[string]peDigests{}, buf: make([]byte, hashBuffer)}
}

func (*executables) Name() string { return "pe" }

func (x *executables) Wants(path string, size int64) bool {
	path = strings.ToLower(path)
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 || x.scope == NoExecutables {
		return false
	}
	if path[dot:] == ".cat" {
		return strings.HasPrefix(path, catalogDir)
	}
	return executableExtensions[path[dot:]] && size > 0 && (x.scope == AllExecutables || !ofWindows(path))
}

// ofWindows reports whether a path in lower case is in a directory of Windows.
func ofWindows(path string) bool {
	return strings.HasPrefix(path, `files\windows\`) || !strings.HasPrefix(path, `files\`)
}

func (*executables) Catalog(context.Context, System) iter.Seq2[Component, error] {
	return func(func(Component, error) bool) {}
}

func (x *executables) CatalogFile(ctx context.Context, f *File) iter.Seq2[Component, error] {
	return func(yield func(Component, error) bool) {
		if strings.HasSuffix(strings.ToLower(f.Path), ".cat") {
			if err := x.addCatalog(f); err != nil {
				yield(Component{}, Skip(FileEvidence(f.Path), fmt.Errorf("catalog: %w", err)))
			}
			return
		}
		c, faults := x.component(ctx, f)
		if c.Name != "" && !yield(c, nil) {
			delete(x.unsigned, f.Path) // as the component is left out
			return
		}
		for _, err := range faults {
			if !yield(Component{}, Skip(c.evidenceOr(f), err)) {
				return
			}
		}
	}
}

func (c *Component) evidenceOr(f *File) []Evidence {
	if len(c.Evidence) > 0 {
		return c.Evidence
	}
	return FileEvidence(f.Path)
}

func (x *executables) addCatalog(f *File) error {
	if f.Size > maxCatalog {
		return fmt.Errorf("has %d bytes: %w", f.Size, errTooLarge)
	}
	b := make([]byte, f.Size)
	if _, err := io.ReadFull(io.NewSectionReader(f.Content, 0, f.Size), b); err != nil {
		return err
	}
	return x.catalogs.add(f.Path, b)
}

// component describes a PE file. A fault in a part of it leaves out the facts of that part.
// For a file that is no PE file there is neither component nor fault.
func (x *executables) component(ctx context.Context, f *File) (c Component, faults []error) {
	p, err := openPE(f.Content, f.Size)
	if errors.Is(err, errNoPE) {
		return c, nil
	}
	if err != nil {
		return c, []error{err}
	}
	p.buf = x.buf
	c = Component{Kind: Executable, Name: baseName(f.Path), SHA256: f.SHA256, Evidence: FileEvidence(f.Path)}
	c.Evidence[0].Layer = f.Layer
	var machine string
	c.Architecture, machine = p.architecture()
	c.SetProperty("machine", machine)
	v, err := p.version()
	if err != nil {
		faults = append(faults, err)
	}
	v.describe(&c)
	if err := x.sign(ctx, p, &c); err != nil {
		faults = append(faults, err)
	}
	return c, faults
}

// baseName is the last part of a path.
func baseName(path string) string { return path[strings.LastIndexByte(path, '\\')+1:] }

// describe sets the facts of a version resource.
func (v *peVersion) describe(c *Component) {
	c.Version, c.Publisher, c.Language = v.fileVersion(), v.texts["CompanyName"], languageTags[v.language]
	c.SetProperty("product", v.texts["ProductName"])
	c.SetProperty("productVersion", v.productVersion())
	c.SetProperty("description", v.texts["FileDescription"])
	c.SetProperty("originalName", v.texts["OriginalFilename"])
}

// sign sets the facts of the signature, or keeps the digests for Complete.
func (x *executables) sign(ctx context.Context, p *peFile, c *Component) error {
	c.SetProperty("signature", unsigned)
	table, err := p.certificates()
	if err == nil && table == nil {
		d, err := p.digests(ctx)
		if err == nil {
			x.unsigned[c.Evidence[0].Path] = d
		}
		return err
	}
	c.SetProperty("signature", signedEmbedded)
	var e embedded
	if err == nil {
		if e, err = readEmbedded(table); err != nil {
			err = &peError{"certificate table", int64(p.dir(certificateDir).addr), err}
		}
	}
	if err != nil {
		c.SetProperty("signatureCheck", "unreadable")
		return err
	}
	if e.fault == "" {
		if e.fault, err = p.compare(ctx, e); err != nil {
			return err
		}
	}
	e.describe(c)
	return nil
}

// digests returns the digests of a file by which catalogs have it.
func (p *peFile) digests(ctx context.Context) (d peDigests, err error) {
	h1, h256 := sha1.New(), sha256.New()
	err = p.authenticode(ctx, h1, h256)
	h1.Sum(d.sha1[:0])
	h256.Sum(d.sha256[:0])
	return d, err
}

// compare compares a file with the digest that is signed.
func (p *peFile) compare(ctx context.Context, e embedded) (fault string, err error) {
	h := e.digest.New()
	if err := p.authenticode(ctx, h); err != nil {
		return "", err
	}
	d := p.dir(certificateDir)
	switch end := int64(d.addr) + int64(d.size); {
	case !bytes.Equal(h.Sum(nil), e.sum):
		return "the file has another content", nil
	case p.size-end >= 8:
		return fmt.Sprintf("%d bytes behind the signature are not signed", p.size-end), nil
	}
	return "", nil
}

// describe sets the facts of a signature.
func (s *signature) describe(c *Component) {
	c.SetProperty("signer", s.signer)
	c.SetProperty("signerIssuer", s.issuer)
	if !s.time.IsZero() {
		c.SetProperty("signatureTime", s.time.Format(time.RFC3339))
	}
	check := s.fault
	if check == "" {
		check = "matches"
	}
	c.SetProperty("signatureCheck", check)
}

// Complete finds the catalogs that sign the files without a signature of their own.
func (x *executables) Complete(ctx context.Context, _ System, all []Component) []Component {
	for i := range all {
		c := &all[i]
		if c.FoundBy != x.Name() || ctx.Err() != nil {
			continue
		}
		d, ok := x.unsigned[c.Evidence[0].Path]
		if !ok {
			continue
		}
		var sum fileDigest
		copy(sum[:], d.sha1[:])
		from, ok := x.catalogs.find(d.sha256)
		if !ok {
			from, ok = x.catalogs.find(sum)
		}
		if ok {
			c.SetProperty("signature", signedCatalogs)
			c.SetProperty("signatureCatalog", baseName(from.path))
			from.describe(c)
		}
	}
	return all
}

// maxVersionFile is the size of a file whose version is read outside the pass over the files.
const maxVersionFile = 1 << 30

// executableVersion reads the version resource of a file of a system by its name,
// "Files/Windows/System32/OpenSSH/ssh.exe". The error is fs.ErrNotExist if there is no such file.
// What could be read is returned with an error too.
func executableVersion(ctx context.Context, s System, name string) (v peVersion, err error) {
	file, err := s.Open(name)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return v, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxVersionFile {
		return v, &fs.PathError{Op: "read version", Path: name, Err: fs.ErrInvalid}
	}
	r, ok := file.(io.ReaderAt)
	if !ok {
		f, release, err := spoolFile(ctx, name, info.Size(), file)
		if err != nil {
			return v, err
		}
		defer release()
		r = f.Content
	}
	p, err := openPE(r, info.Size())
	if err != nil {
		return v, err
	}
	return p.version()
}

// languageTags are the tags of the languages of Windows, by LANGID ([MS-LCID]).
var languageTags = map[uint16]string{
	0x0401: "ar-SA", 0x0402: "bg-BG", 0x0403: "ca-ES", 0x0404: "zh-TW", 0x0405: "cs-CZ", 0x0406: "da-DK", 0x0407: "de-DE",
	0x0408: "el-GR", 0x0409: "en-US", 0x040b: "fi-FI", 0x040c: "fr-FR", 0x040d: "he-IL", 0x040e: "hu-HU", 0x0410: "it-IT",
	0x0411: "ja-JP", 0x0412: "ko-KR", 0x0413: "nl-NL", 0x0414: "nb-NO", 0x0415: "pl-PL", 0x0416: "pt-BR", 0x0418: "ro-RO",
	0x0419: "ru-RU", 0x041a: "hr-HR", 0x041b: "sk-SK", 0x041d: "sv-SE", 0x041e: "th-TH", 0x041f: "tr-TR", 0x0421: "id-ID",
	0x0422: "uk-UA", 0x0424: "sl-SI", 0x0425: "et-EE", 0x0426: "lv-LV", 0x0427: "lt-LT", 0x042a: "vi-VN", 0x042d: "eu-ES",
	0x0456: "gl-ES", 0x0804: "zh-CN", 0x0809: "en-GB", 0x080a: "es-MX", 0x0816: "pt-PT", 0x0c04: "zh-HK", 0x0c0a: "es-ES",
	0x0c0c: "fr-CA", 0x241a: "sr-Latn-RS",
}
