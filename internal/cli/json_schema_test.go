package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"
)

// documents are command lines and the schema in docs/schema that their output has. They
// run in this order in one directory, with a password on standard input; $HELLO is the
// example image, $SAMPLE the directory of the example of build, $REGISTRY an empty registry. Lines without a schema
// make files, see TestScripts. Each command of the
// program has a line here, or the annotation noJSON.
var documents = []struct {
	line   string
	schema string // for lines "-": the output is not of this program's making
	lines  bool   // one object a line
	status int
}{
	{line: "version", schema: "version"},
	{line: "inspect $HELLO", schema: "inspect"},
	{line: "inspect --layers $HELLO", schema: "inspect"},
	{line: `ls -R $HELLO \`, schema: "entry", lines: true},
	{line: `ls -R --layer 1 $HELLO \`, schema: "entry", lines: true},
	{line: "cat $HELLO Files/hello/hello.txt -o hello.txt", schema: "written"},
	{line: `extract $HELLO \ all`, schema: "extract"},
	{line: "osversion $HELLO", schema: "os-version"},
	{line: "cache info", schema: "cache-info"},
	{line: "cache clear", schema: "cache-clear"},
	{line: "env $HELLO", schema: "env"},
	{line: "updates $HELLO", schema: "updates"},
	{line: "updates --latest 10.0.20348.2762 $HELLO", schema: "updates", status: 1},
	{line: "sbom $HELLO", schema: "sbom"},
	{line: "sbom -f syft $HELLO", schema: "-"},
	{line: "sbom $HELLO -o hello.cdx.json", schema: "written"},
	{line: "copy $HELLO oci:layout:v1", schema: "copy"},
	{line: "build --build-context hello=$HELLO -o oci:built:v1 $SAMPLE", schema: "build"},
	{line: "build --commands", schema: "build-command", lines: true},
	{line: "unpack $HELLO store", schema: "unpack"},
	{line: "unpack $HELLO store", schema: "unpack"},
	{line: "unpack --format wclayer $HELLO layers", schema: "unpack"},
	{line: "convert wclayer:layers/00-2011a9cb4487 tar:base.tar", schema: "written"},
	{line: "inspect --waste $HELLO", schema: "waste"},
	{line: "blame $HELLO Files/Windows/win.ini", schema: "blame", lines: true},
	{line: `blame $HELLO HKLM\SOFTWARE\Microsoft`, schema: "blame", lines: true},
	{line: "manifest $HELLO", schema: "-"},
	{line: "config $HELLO", schema: "-"},
	{line: "config $HELLO --env A=1 -o oci:layout:v2", schema: "copy"},
	{line: "append $HELLO store -o oci:layout:v3", schema: "copy"},
	{line: "squash oci:layout:v3 -o oci:layout:v4", schema: "copy"},
	{line: "rebase oci:layout:v3 --old $HELLO --new oci:layout:v2 -o oci:layout:v5", schema: "copy"},
	{line: "copy $HELLO docker://$REGISTRY/app:v1", schema: "copy"},
	{line: "sbom --attach docker://$REGISTRY/app:v1", schema: "attached"},
	{line: "sbom --from-registry docker://$REGISTRY/app:v1", schema: "-"},
	{line: "tags $REGISTRY/app", schema: "tag", lines: true},
	{line: "login $REGISTRY -u user --password-stdin", schema: "login"},
	{line: "logout $REGISTRY", schema: "login"},
	{line: "diff tar:base.tar $HELLO", schema: "diff", lines: true, status: 1},
	{line: "diff --layer 1 --times $HELLO", schema: "diff", lines: true, status: 1},
	{line: "diff $HELLO $HELLO", schema: "diff", lines: true},
	{line: "check --severity info $HELLO", schema: "finding", lines: true, status: 1},
	{line: "check --rules", schema: "rule", lines: true},
	{line: "cim create tar:base.tar base.cim", schema: "written"},
	{line: "cim info base.cim", schema: "cim-info"},
	{line: "cim ls base.cim", schema: "cim-entry", lines: true},
	{line: "cim cat base.cim Files/License.txt -o license.txt", schema: "written"},
	{line: "cim fork base.cim all fork.cim", schema: "written"},
	{line: "cim ls fork.cim", schema: "cim-entry", lines: true},
	{line: "cim rewrite --guid 6e1c0f3a-8f0e-4b0e-9d5a-1f2e3d4c5b6a base.cim again.cim", schema: "written"},
	{line: "cim extract base.cim tree", schema: "written"},
	{line: "flip region_6e1c0f3a-8f0e-4b0e-9d5a-1f2e3d4c5b6a_0 9000"},
	{line: "cim check --severity info again.cim", schema: "finding", lines: true, status: 1},
	{line: "hive new -o H", schema: "written"},
	{line: `hive add H A\B -v text -d hello`, schema: "written"},
	{line: `hive add H A\B -v list -t REG_MULTI_SZ -d a\0b`, schema: "written"},
	{line: `hive add H A\B -v number -t REG_DWORD -d 7`, schema: "written"},
	{line: `hive add H A\B -v other -t 0x1234 -d 00ff -o G`, schema: "written"},
	{line: `hive delete G A\B -v list`, schema: "written"},
	{line: "hive query -s G", schema: "key", lines: true},
	{line: `hive query H A\B -v list`, schema: "value", lines: true},
	{line: "hive dump G", schema: "dump", lines: true},
	{line: "hive export G -o G.reg", schema: "written"},
	{line: "hive import H G.reg", schema: "written"},
	{line: "hive compare H G", schema: "diff", lines: true, status: 1},
	{line: "hive diff H G -o D", schema: "written"},
	{line: "hive query -s D", schema: "key", lines: true},
	{line: "hive dump D", schema: "dump", lines: true},
	{line: "hive merge H D -o M", schema: "written"},
	{line: "hive recover G -o R", schema: "recover"},
	{line: "hivedamage unlist G A"},
	{line: "hive recover --deleted G", schema: "deleted", lines: true},
	{line: "hive check --severity info G", schema: "finding", lines: true, status: 1},
	{line: "hive repair G -o P", schema: "repair", lines: true},
	{line: "bcdstore BCD"},
	{line: `cat $HELLO Hives\SOFTWARE_BASE -o SOFTWARE`, schema: "written"},
	{line: `cat $HELLO Hives\SYSTEM_BASE -o SYSTEM`, schema: "written"},
	{line: "hive os-version SOFTWARE", schema: "os-version"},
	{line: "hive enable-cim-boot SYSTEM", schema: "written"},
	{line: "hive bcd BCD", schema: "bcd"},
	{line: "makebase layers/00-2011a9cb4487", schema: "written"},
	{line: "mount $HELLO absent", schema: "error", status: 2},
	{line: "ls", schema: "error", status: 2},
	{line: "ls tar:absent.tar", schema: "error", status: 2},
}

// The output of every command with --json has the schema that docs/json.md names.
func TestDocuments(t *testing.T) {
	root := testenv.Root(t)
	hello := "oci-archive:" + filepath.Join(root, "examples", "hello", "hello.tar")
	guide, err := os.ReadFile(filepath.Join(root, "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	schemas := map[string]*jsonschema.Schema{}
	files, err := filepath.Glob(filepath.Join(root, "docs", "schema", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(doc.(map[string]any)["$id"].(string), doc); err != nil {
			t.Fatal(err)
		}
	}
	unused := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if schemas[name], err = compiler.Compile("https://github.com/mullion/mullion/docs/schema/" + name + ".json"); err != nil {
			t.Fatal(err)
		}
		unused[name] = name != "common"
		if !bytes.Contains(guide, []byte("schema/"+name+".json")) {
			t.Errorf("docs/json.md does not name %s.json", name)
		}
	}
	missing := map[string]bool{}
	for _, cmd := range commandsOf(newRoot(&console{})) {
		if cmd.Annotations[noJSON] == "" {
			missing[commandName(cmd)] = true
		}
	}

	t.Setenv("MULLION_CACHE", filepath.Join(t.TempDir(), "cache"))
	t.Chdir(t.TempDir())
	ownCredentials(t)
	registry, _ := countedRegistry(t, nil)
	for _, d := range documents {
		args := strings.Fields(strings.NewReplacer("$HELLO", hello, "$REGISTRY", registry, "$SAMPLE", filepath.Join(root, "examples", "build")).Replace(d.line))
		switch args[0] {
		case "bcdstore":
			writeBCD(testStage{t}, args[1])
			continue
		case "hivedamage":
			damageHive(testStage{t}, args[1:])
			continue
		case "flip":
			flipBit(testStage{t}, args[1:])
			continue
		}
		cmd, _, err := newRoot(&console{}).Find(args)
		if err != nil {
			t.Fatal(err)
		}
		delete(missing, commandName(cmd))
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append(args, "--json"), strings.NewReader("secret\n"), &stdout, &stderr)
		if status != d.status {
			t.Errorf("%s: status %d, %s", d.line, status, &stderr)
			continue
		}
		delete(unused, d.schema)
		out := stdout.Bytes()
		if d.schema == "error" {
			out = stderr.Bytes()
		}
		checkDocument(t, d.line, out, schemas[d.schema], d.lines)
	}
	for name := range missing {
		t.Errorf("no line of documents runs the command %s", name)
	}
	for name, is := range unused {
		if is {
			t.Errorf("no line of documents has the schema %s", name)
		}
	}
}

// checkDocument validates one document, or each line of a listing. Without a schema it
// only parses it.
func checkDocument(t *testing.T, line string, out []byte, schema *jsonschema.Schema, lines bool) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	n := 0
	for ; d.More(); n++ {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Errorf("%s: %v", line, err)
			return
		}
		if schema == nil {
			continue
		}
		if err := schema.Validate(v); err != nil {
			text, _ := json.Marshal(v)
			t.Errorf("%s:\n%.600s\n%v", line, text, err)
			return
		}
	}
	if n == 0 || !lines && n != 1 {
		t.Errorf("%s: %d documents", line, n)
	}
	if lines && bytes.Count(out, []byte("\n")) != n {
		t.Errorf("%s: %d objects in %d lines", line, n, bytes.Count(out, []byte("\n")))
	}
}

// commandsOf returns the commands that can run, without groups and help topics.
func commandsOf(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		if !cmd.Runnable() {
			return nil
		}
		return []*cobra.Command{cmd}
	}
	var list []*cobra.Command
	for _, sub := range cmd.Commands() {
		list = append(list, commandsOf(sub)...)
	}
	return list
}

// testStage is the stage of a test that works in its own directory.
type testStage struct{ *testing.T }

func (s testStage) Check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s testStage) MkAbs(name string) string { return name }
