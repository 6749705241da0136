package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mullion/mullion/blob"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image/imagetest"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/winfs"
	"github.com/mullion/mullion/wintar"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// exceeding are values of limits that the layer of largeLayer exceeds.
var exceeding = map[string]string{
	"entries": "2", "depth": "1", "file-size": "100", "total-size": "100", "streams": "1", "metadata": "3", "ratio": "2",
}

// largeLayer returns a base layer that exceeds every limit of exceeding before its hives, with
// a file of n zeros. The ratio is exceeded by 17 MiB, which take their time.
func largeLayer(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := wintar.NewWriter(&b)
	add := func(e layer.Entry, streams ...[]byte) {
		t.Helper()
		if err := w.Add(&e); err != nil {
			t.Fatal(err)
		}
		for i, data := range streams {
			s := layer.Stream{Size: int64(len(data))}
			if i > 0 {
				s.Name = fmt.Sprintf("s%d", i)
			}
			if err := w.AddStream(&s); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := func(path string, streams ...[]byte) {
		t.Helper()
		add(layer.Entry{Path: path, Kind: layer.File, Attributes: winfs.AttrArchive, Size: int64(len(streams[0]))}, streams...)
	}
	dir := func(path string) { add(layer.Entry{Path: path, Kind: layer.Dir, Attributes: winfs.AttrDirectory}) }
	dir("Files")
	dir(`Files\a`)
	file(`Files\big`, make([]byte, n), []byte("one"), []byte("two"))
	for _, path := range []string{`Files\Windows`, `Files\Windows\System32`, `Files\Windows\System32\config`} {
		dir(path)
	}
	for _, n := range hives.All() {
		h, err := hives.Minimal(n, hives.ServerCore(20348, 2700))
		if err != nil {
			t.Fatal(err)
		}
		file(n.Path(hives.Config), h)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// limited are lines for each command that has --limit, all of which read the layer of
// largeLayer: $IMAGE is an image of it alone, $LAYER stands for it as a compressed tar, a
// layer directory and a CimFS image in turn.
var limited = map[string][]string{
	"blame":        {`blame $IMAGE Files\big`, `blame $IMAGE HKLM\SOFTWARE\Microsoft`, `blame $LAYER Files\big`, `blame tar:large.tar.gz HKLM\SOFTWARE\Microsoft`},
	"build":        {`build --build-context large=$IMAGE -o oci:built src`},
	"cat":          {`cat $IMAGE Files\big:s2`, `cat --layer 0 $IMAGE Files\big:s2`, `cat $LAYER Files\big:s2`},
	"check":        {`check $IMAGE`, `check --base $LAYER`, `check --quick $IMAGE`},
	"convert":      {`convert $LAYER tar:out.tar`},
	"copy":         {`copy $IMAGE oci:copied`},
	"diff":         {`diff $IMAGE $OTHER`, `diff $OTHER $IMAGE`, `diff --files $LAYER $OTHER`, `diff --registry $IMAGE $OTHER`},
	"env":          {`env $IMAGE`},
	"extract":      {`extract $IMAGE Files\big out`, `extract --layer 0 $IMAGE Files\big out`, `extract $LAYER Files\big out`},
	"inspect":      {`inspect --layers $IMAGE`, `inspect --waste $IMAGE`},
	"ls":           {`ls --json $IMAGE Files`, `ls --json --layer 0 $IMAGE Files`, `ls --json $LAYER Files`},
	"mount":        {`mount $IMAGE .`, `mount --layer 0 $IMAGE .`, `mount tar:large.tar.gz .`, `mount wclayer:large .`},
	"os-version":   {`os-version $IMAGE`, `os-version wclayer:large`},
	"sbom":         {`sbom $IMAGE`},
	"unpack":       {`unpack $IMAGE out`, `unpack --format wclayer $IMAGE layers`},
	"updates":      {`updates $IMAGE`},
	"hive query":   {`hive query $IMAGE HKLM\SOFTWARE`, `hive query tar:large.tar.gz HKLM\SOFTWARE`},
	"hive export":  {`hive export $IMAGE HKLM\SOFTWARE`, `hive export wclayer:large HKLM\SOFTWARE`},
	"hive dump":    {`hive dump $IMAGE HKLM\SOFTWARE`},
	"hive compare": {`hive compare $IMAGE $OTHER HKLM\SOFTWARE`},
	"hive check":   {`hive check SOFTWARE`},
	"cim check":    {`cim check large.cim`},
	"cim create":   {`cim create $LAYER out.cim`},
	"cim extract":  {`cim extract large.cim tar:out.tar`},
	"cim fork":     {`cim fork large.cim $LAYER fork.cim`},
}

// Every limit that a command accepts holds, in every form of its input, and the message
// names the flag.
func TestLimits(t *testing.T) {
	plain, bomb := largeLayer(t, 1000), largeLayer(t, 17<<20)
	t.Chdir(t.TempDir())
	t.Setenv(cacheEnv, cacheOff)
	spec := imagetest.Image{
		Config: ocispec.Image{Platform: ocispec.Platform{OS: "windows", OSVersion: "10.0.20348.2700", Architecture: "amd64"}},
		Layers: []imagetest.Layer{{Tar: plain, Format: blob.Gzip}},
	}
	bombs, small := spec, spec
	bombs.Layers = []imagetest.Layer{{Tar: bomb, Format: blob.Gzip}}
	var empty bytes.Buffer
	w := wintar.NewWriter(&empty)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	small.Layers = []imagetest.Layer{{Tar: empty.Bytes(), Format: blob.Gzip}}
	for dir, image := range map[string]imagetest.Image{"image": spec, "bomb": bombs, "other": small} {
		if err := imagetest.WriteLayout(dir, image); err != nil {
			t.Fatal(err)
		}
	}
	for name, raw := range map[string][]byte{"plain.tar": plain, "bomb.tar": bomb} {
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("src", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("src", "Dockerfile"), []byte("FROM large\nWORKDIR /new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	perform := func(line string) (int, string) {
		var out, errs bytes.Buffer
		words := strings.Fields(strings.NewReplacer("$IMAGE", "oci:image", "$OTHER", "oci:other").Replace(line))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a mount waits for Ctrl-C
		defer cancel()
		return run(ctx, words, strings.NewReader(""), &out, &errs), out.String() + errs.String()
	}
	for _, line := range []string{
		"convert tar:plain.tar tar:large.tar.gz", "convert tar:bomb.tar tar:bomb.tar.gz", "convert tar:plain.tar wclayer:large", "cim create tar:plain.tar large.cim",
		`cat $IMAGE Files\Windows\System32\config\SOFTWARE -o SOFTWARE`, "inspect --layers --cache warm $IMAGE",
	} {
		if status, text := perform(line); status != 0 {
			t.Fatalf("%s: %s", line, text)
		}
	}
	for _, cmd := range commandsOf(newRoot(&console{})) {
		name := commandName(cmd)
		flag := cmd.Flags().Lookup("limit")
		if name == "serve" {
			continue // the tests of snapshotter/serve pull with limits
		}
		if (flag != nil) != (limited[name] != nil) {
			t.Errorf("%s: it has --limit, or lines here, but not both", name)
			continue
		}
		for _, line := range limited[name] {
			forms := []string{line}
			if strings.Contains(line, "$LAYER") {
				forms = nil
				for _, ref := range []string{"tar:large.tar.gz", "wclayer:large", "cim:large.cim"} {
					forms = append(forms, strings.ReplaceAll(line, "$LAYER", ref))
				}
			}
			for _, form := range forms {
				for _, limit := range limitsOf[name] {
					given := limit + "=" + exceeding[limit]
					form := form
					if limit == "ratio" {
						if strings.Contains(form, "wclayer:") || !strings.Contains(form, "tar.gz") && strings.Contains(form, ".cim") {
							continue // nothing is compressed
						}
						form = strings.NewReplacer("$IMAGE", "oci:bomb", "large.tar.gz", "bomb.tar.gz").Replace(form)
					}
					caches := []string{""}
					if limit == "entries" && slices.Contains(cached, name) && strings.Contains(form, "$IMAGE") {
						// From an index no stream is read, but its entries count.
						caches = append(caches, " --cache warm")
					}
					for _, cache := range caches {
						status, text := perform(form + cache + " --limit " + given)
						if status != 1 && status != 2 || !strings.Contains(text, "--limit "+given+" is exceeded") {
							t.Errorf("%s%s --limit %s: status %d\n%.300s", form, cache, given, status, text)
						}
					}
				}
			}
		}
		for _, limit := range allLimits {
			if flag != nil && !slices.Contains(limitsOf[name], limit) && flag.Value.Set(limit+"=5") == nil {
				t.Errorf("%s accepts --limit %s", name, limit)
			}
		}
	}
}

// A limit is a number, and one that the command knows.
func TestLimitFlag(t *testing.T) {
	for arg, want := range map[string]string{
		"entries=3": "", "entries=-1": "", "entries=9223372036854775807": "",
		"entries":                     `"" is not a number above 0, or -1 for no limit`,
		"entries=0":                   `"0" is not a number above 0, or -1 for no limit`,
		"entries=-2":                  `"-2" is not a number above 0, or -1 for no limit`,
		"entries=3x":                  `"3x" is not a number above 0, or -1 for no limit`,
		"entries=9223372036854775808": "9223372036854775808 is more than 9223372036854775807; -1 is no limit",
		"size=3":                      "want NAME=N, NAME one of entries, ratio; -1 is no limit",
		"streams=3":                   "streams has no effect in this command, which takes entries, ratio",
	} {
		got := ""
		if err := (&limitFlag{limits: &layer.Limits{}, names: []string{"entries", "ratio"}}).Set(arg); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
}
