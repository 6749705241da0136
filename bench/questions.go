package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/mullion/mullion/bench/table"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/internal/inflate"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func init() {
	areas["questions"] = area{run: benchQuestions, exec: map[string]func([]string) error{
		"questions-image": func(a []string) error { return writeQuestionImage(a[0], a[1]) },
		"questions-plan":  func(a []string) error { options.cache = a[0]; return printPlan(a[1:]) },
		"inflate-hash": func(files []string) error {
			for _, f := range files {
				if err := inflateAndHash(f); err != nil {
					return fmt.Errorf("%s: %w", f, err)
				}
			}
			return nil
		},
	}}
}

// subject is what the questions are about.
type subject struct {
	ref, other string // oci:DIR:TAG; other may be ""
	dir        string // the layout
	plan       plan
}

// plan is what the questions need to know about the images.
type plan struct {
	Layers  int   // of the image
	Entries int64 // of all layers of both images; each counts once
	// BaseEntries is the number of entries of the base layer, Blobs[0].
	BaseEntries int64
	Blobs       []string // their files, base first
	Stored      int64    // bytes of them
	Dir         string   // a directory of the image
	File        string   // a file of about 1 MB late in the base layer that the container sees
	Size        int64    // of that file
}

// benchQuestions asks what users ask about an image: once with an empty cache, once with
// what that left; of a layout, and of a registry on loopback.
func benchQuestions(cache string) error {
	s, err := findSubject(cache)
	if err != nil {
		return err
	}
	mullion := filepath.Join(cache, "mullion")
	if err := build("..", mullion, "./cmd/mullion"); err != nil {
		return err
	}
	return askAll(os.Stdout, s, mullion)
}

// askAll measures all questions with the program and writes the tables to w.
func askAll(w io.Writer, s *subject, mullion string) error {
	work, err := os.MkdirTemp(options.dir, "mullion-questions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// Neither credentials of the user nor settings of dive have a say.
	q := &questioner{subject: s, mullion: mullion, work: work,
		env: append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(work, "docker"), "MULLION_CACHE="+cmp.Or(options.cache, filepath.Join(work, "cache")))}
	groups := []table.Group{{Title: "start-up", Cases: []table.Case{{Name: "mullion version", Role: table.Ours, Command: q.command(mullion, "version")}}}}
	if options.cache == "" {
		groups = append(groups, table.Group{Title: "all blobs", Cases: []table.Case{
			{Name: "bare inflation and two hashes, one thread", Role: table.Floor, Command: q.self("inflate-hash", s.plan.Blobs...)}}})
	}
	floors, err := table.RunAll(w, fmt.Sprintf("Floors: %d blobs, %.0f MB, %d entries", len(s.plan.Blobs), float64(s.plan.Stored)/1e6, s.plan.Entries), "work", groups)
	if err != nil {
		return err
	}
	q.startUp = floors[0][0].Min
	if len(floors) > 1 {
		q.floor = floors[1][0].CPU
	}
	var errs []error
	if groups := q.groups(q.local(), nil); len(groups) > 0 {
		_, err = table.RunAll(w, "Questions about an image in a local layout; the cache is empty the first time", "question", groups)
		errs = append(errs, err)
	}
	server, err := serveLayout(s.dir)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer server.Close()
	if groups := q.groups(q.remote(server.Host), server.Sent); len(groups) > 0 {
		_, err = table.RunAll(w, "Questions about the image in a registry on loopback", "question", groups)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// questioner makes the groups of the tables.
type questioner struct {
	*subject
	mullion        string
	work           string
	env            []string
	floor, startUp time.Duration
	docker         string // a docker archive of the image
	noDocker       error
}

func (q *questioner) command(name string, args ...string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) {
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Dir = q.env, q.work
		return cmd, nil
	}
}

func (q *questioner) self(word string, args ...string) func() (*exec.Cmd, error) {
	return table.Self(append([]string{word}, args...)...)
}

// archive makes the docker archive that dive reads, if there is a dive.
func (q *questioner) archive() {
	if _, err := exec.LookPath("dive"); err != nil {
		return // which its row says
	}
	q.docker = filepath.Join(q.work, "image.tar")
	cmd := exec.Command(q.mullion, "copy", "--quiet", q.ref, "docker-archive:"+q.docker+":bench:1")
	cmd.Env = q.env
	if _, err := cmd.Output(); err != nil {
		q.noDocker = fmt.Errorf("no docker archive: %s", why(err))
	}
}

// place is where an image is, for the command lines.
type place struct {
	name       string // local or registry
	ref, other string
	flags      []string // of mullion
	peers      func(question string) []table.Case
}

// question is one command of mullion. Statuses besides 0 and 1, by which diff and check
// tell what they found, are failures.
type question struct {
	name  string
	args  []string // before the reference
	after []string // behind the references
	two   bool     // about two images
	goal  time.Duration
	// memory in bytes that the command is not to exceed; 0 is the allowance of all
	memory int64
}

func (q *questioner) questions() []question {
	soon := 100*time.Millisecond + q.startUp
	const diffTime = 2 * time.Second // after reading
	return []question{
		{name: "inspect", args: []string{"inspect"}, goal: soon},
		{name: "inspect --layers", args: []string{"inspect", "--layers"}},
		{name: "ls DIR", args: []string{"ls"}, after: []string{q.plan.Dir}, goal: soon},
		{name: fmt.Sprintf("cat, %.1f MB, late", float64(q.plan.Size)/1e6), args: []string{"cat"}, after: []string{q.plan.File}, goal: soon},
		{name: "os-version", args: []string{"os-version"}, goal: soon},
		{name: "env", args: []string{"env"}},
		{name: "sbom", args: []string{"sbom"}, goal: time.Second},
		{name: "sbom --files all", args: []string{"sbom", "--files", "all"}, goal: time.Second, memory: 256 << 20},
		{name: "diff --stat", args: []string{"diff", "--stat"}, two: true, goal: diffTime},
		{name: "diff --registry", args: []string{"diff", "--registry"}, two: true},
		{name: "blame PATH", args: []string{"blame"}, after: []string{q.plan.File}},
		{name: "inspect --waste", args: []string{"inspect", "--waste"}},
		{name: "check --quick", args: []string{"check", "--quick"}},
		{name: "check", args: []string{"check"}},
	}
}

func (q *questioner) groups(p place, moved func() int64) []table.Group {
	dir := filepath.Join(q.work, "cache")
	var groups []table.Group
	for _, ask := range q.questions() {
		if options.match != nil && !options.match.MatchString(p.name+"/"+ask.name) {
			continue
		}
		args := append([]string{}, ask.args...)
		args = append(args, p.flags...)
		switch {
		case !ask.two:
			args = append(args, p.ref)
		case p.other != "":
			args = append(args, p.other, p.ref)
		default:
			args = append(args, "--layer", strconv.Itoa(q.plan.Layers-1), p.ref)
		}
		args = append(append(args, ask.after...), "--quiet")
		ours := func(name string) table.Case {
			return table.Case{Name: "mullion, " + name + " time", Role: table.Ours, OKStatus: []int{1}, Command: q.command(q.mullion, args...)}
		}
		first, second := ours("first"), ours("second")
		first.Before = func() error { return os.RemoveAll(dir) }
		second.Goal = ask.goal
		cases := []table.Case{first, second}
		if options.cache != "" {
			cases = cases[1:]
		}
		groups = append(groups, table.Group{Title: ask.name, Cases: append(cases, p.peers(ask.args[len(ask.args)-1])...),
			Moved: moved, Memory: cmp.Or(ask.memory, allowance(q.plan.Entries)), Floor: q.floor})
	}
	return groups
}

// allowance is the memory in bytes that no command is to exceed.
func allowance(entries int64) int64 { return 64<<20 + 400*entries }

// local is the layout.
func (q *questioner) local() place {
	return place{name: "local", ref: q.ref, other: q.other, peers: func(question string) []table.Case {
		switch question {
		case "inspect":
			return []table.Case{q.skopeo("skopeo inspect", "inspect", q.ref)}
		case "ls":
			return []table.Case{q.pipe("tar -t of each layer, grep", "tar",
				`dir=$0; for b; do tar -tf "$b"; done 2>/dev/null | grep "^$dir/[^/]*/\?$"`, append([]string{q.plan.Dir}, q.plan.Blobs...)...)}
		case "cat":
			return []table.Case{q.pipe("tar -xO of the base layer", "tar", `tar -xOf "$0" "$1" 2>/dev/null`, q.plan.Blobs[0], q.plan.File)}
		case "--waste":
			q.archive()
			return []table.Case{peer(table.Case{Name: "dive --ci, of a docker archive", Command: q.command("dive", "--ci", "--source", "docker-archive",
				"--lowestEfficiency", "disabled", "--highestUserWastedPercent", "disabled", q.docker)}, "dive", q.noDocker)}
		}
		return nil
	}}
}

// remote is the registry at host.
func (q *questioner) remote(host string) place {
	at := func(ref string) string {
		if ref == "" {
			return ""
		}
		return host + "/image:" + ref[strings.LastIndexByte(ref, ':')+1:]
	}
	name := at(q.ref)
	p := place{name: "registry", ref: "docker://" + name, flags: []string{"--plain-http"}}
	if q.other != "" {
		p.other = "docker://" + at(q.other)
	}
	crane := func(words ...string) table.Case {
		return peer(table.Case{Name: "crane " + words[0], Command: q.command("crane", append(words, "--insecure", name)...)}, "crane", nil)
	}
	p.peers = func(question string) []table.Case {
		switch question {
		case "inspect":
			return []table.Case{crane("config"), crane("manifest"), q.skopeo("skopeo inspect", "inspect", "--tls-verify=false", "docker://"+name)}
		case "ls":
			return []table.Case{q.pipe("crane export, tar -t, grep", "crane",
				`crane export --insecure "$0" - | tar -t 2>/dev/null | grep "^$1/[^/]*/\?$"`, name, q.plan.Dir)}
		case "cat":
			return []table.Case{q.pipe("crane export, tar -xO", "crane", `crane export --insecure "$0" - | tar -xO "$1" 2>/dev/null`, name, q.plan.File)}
		}
		return nil
	}
	return p
}

func (q *questioner) skopeo(name string, words ...string) table.Case {
	return peer(table.Case{Name: name, Command: q.command("skopeo", append([]string{"--override-os", "windows"}, words...)...)}, "skopeo", nil)
}

// pipe is a peer of several programs, all of which must succeed.
func (q *questioner) pipe(name, program, script string, args ...string) table.Case {
	c := peer(table.Case{Name: name, Command: q.command("bash", append([]string{"-o", "pipefail", "-c", script}, args...)...)}, program, nil)
	if c.Skip == "" {
		c = peer(c, "bash", nil)
	}
	return c
}

// findSubject returns the images of the flags, or the small ones that it makes.
func findSubject(cache string) (*subject, error) {
	s := &subject{ref: options.image, other: options.other}
	if s.ref == "" {
		dir, err := makeQuestionImage(cache)
		if err != nil {
			return nil, err
		}
		s.ref, s.other = "oci:"+dir+":update", "oci:"+dir+":base"
	}
	return s, s.look()
}

// look fills in what is known of the images.
func (s *subject) look() error {
	for _, ref := range []*string{&s.ref, &s.other} {
		if *ref == "" {
			continue
		}
		r, err := image.ParseReference(*ref)
		if err != nil {
			return err
		}
		if r.Transport != "oci" || r.Name == "" || r.Digest != "" {
			return fmt.Errorf("%s: an image to measure with is oci:DIR:TAG", *ref)
		}
		dir, err := filepath.Abs(r.Path)
		if err != nil {
			return err
		}
		if s.dir != "" && s.dir != dir {
			return fmt.Errorf("%s: it is not in the layout %s", *ref, s.dir)
		}
		s.dir = dir
		*ref = "oci:" + dir + ":" + r.Name
	}
	words := []string{"questions-plan", options.cache, s.ref}
	if s.other != "" {
		words = append(words, s.other)
	}
	text, err := self(words...)
	if err != nil {
		return errors.New(why(err))
	}
	return json.Unmarshal([]byte(text), &s.plan)
}

// printPlan reads the layers of the images and prints the plan. The first image is the one
// that the questions are about.
func printPlan(refs []string) error {
	var p plan
	var c candidates
	seen := map[string]bool{}
	for n, ref := range refs {
		var opts []image.Option
		if options.cache != "" {
			c, err := image.OpenCache(options.cache, 1<<40, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			opts = append(opts, image.WithCache(c))
		}
		img, err := image.Open(context.Background(), ref, opts...)
		if err != nil {
			return err
		}
		defer img.Close()
		for i, l := range img.Layers() {
			digest := l.Descriptor.Digest
			if seen[digest.String()] {
				continue
			}
			seen[digest.String()] = true
			r, err := image.ParseReference(ref)
			if err != nil {
				return err
			}
			p.Blobs = append(p.Blobs, filepath.Join(r.Path, "blobs", digest.Algorithm().String(), digest.Encoded()))
			p.Stored += l.Descriptor.Size
			entries, err := c.read(l, n == 0 && i == 0, n == 0)
			if err != nil {
				return err
			}
			if p.Entries += entries; n == 0 && i == 0 {
				p.BaseEntries = entries
			}
		}
		if n == 0 {
			p.Layers = len(img.Layers())
		}
	}
	f, ok := c.last()
	if !ok || c.dir == "" {
		return fmt.Errorf("%s: its base layer has no file that the container sees", refs[0])
	}
	p.Dir, p.File, p.Size = strings.ReplaceAll(c.dir, `\`, "/"), strings.ReplaceAll(f.path, `\`, "/"), f.size
	return json.NewEncoder(os.Stdout).Encode(p)
}

// candidate is a file of the base layer.
type candidate struct {
	path string
	size int64
}

// read counts the entries of a layer. From the base it takes the files; of the other layers
// of the image it takes note when they have an entry that is, or is above, one of these.
func (c *candidates) read(l *image.Layer, base, own bool) (entries int64, err error) {
	r, err := l.Source(context.Background()).Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return 0, err
		}
		entries++
		switch {
		case base && e.Kind == layer.Dir && (c.dir == "" || winfs.EqualFold(e.Path, `Files\Windows`)):
			c.dir = e.Path
		case base && e.Kind == layer.File && winfs.Under(e.Path, "Files") && e.Size > 0:
			c.add(candidate{e.Path, e.Size})
		case own && !base:
			touched := func(f candidate) bool {
				return winfs.EqualFold(e.Path, f.path) || e.Kind != layer.Dir && winfs.Under(f.path, e.Path)
			}
			c.fit, c.all = slices.DeleteFunc(c.fit, touched), slices.DeleteFunc(c.all, touched)
		}
	}
}

// candidates are the last files of the base layer: those of about a megabyte, and all.
type candidates struct {
	dir      string
	fit, all []candidate
}

func (c *candidates) add(f candidate) {
	const most = 50
	lists := []*[]candidate{&c.all}
	if f.size > 900_000 && f.size < 1_100_000 {
		lists = append(lists, &c.fit)
	}
	for _, list := range lists {
		if *list = append(*list, f); len(*list) > most {
			*list = slices.Delete(*list, 0, 1)
		}
	}
}

// last returns the last of the files of about a megabyte, or of all if there is none.
func (c *candidates) last() (candidate, bool) {
	for _, list := range [][]candidate{c.fit, c.all} {
		if len(list) > 0 {
			return list[len(list)-1], true
		}
	}
	return candidate{}, false
}

// inflateAndHash reads a blob, decompresses it and hashes both forms, and nothing else.
func inflateAndHash(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	stored, plain := sha256.New(), sha256.New()
	in := io.TeeReader(f, stored)
	head := make([]byte, 10)
	if _, err := io.ReadFull(in, head); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		if head[3] != 0 {
			return errors.New("a gzip header with optional fields, which this floor does not read")
		}
		r := inflate.NewReader(in)
		if _, err := r.WriteTo(plain); err != nil {
			return err
		}
		if _, err := r.Fill(8); err != nil {
			return err
		}
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(io.MultiReader(bytes.NewReader(head), in), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		if _, err := z.WriteTo(plain); err != nil {
			return err
		}
	default:
		plain.Write(head)
		if _, err := io.Copy(plain, in); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	sink += uint64(stored.Sum(nil)[0]) + uint64(plain.Sum(nil)[0])
	return nil
}

// readIndex returns the index of a layout.
func readIndex(dir string) (*ocispec.Index, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &index, nil
}
