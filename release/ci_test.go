package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type workflow struct {
	Name        string
	On          yaml.Node
	Permissions map[string]string
	Concurrency map[string]any
	Env         map[string]string
	Jobs        map[string]struct {
		Name     string
		RunsOn   string `yaml:"runs-on"`
		Timeout  int    `yaml:"timeout-minutes"`
		Strategy struct {
			FailFast bool `yaml:"fail-fast"`
			Matrix   map[string][]string
		}
		Steps []struct {
			Name, If, Uses, Run, Shell string
			With                       map[string]any
			Env                        map[string]string
		}
	}
}

func readYAML(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// inRepository finds words of a command that are paths of this repository.
var inRepository = regexp.MustCompile(`(?:^|[\s"':=(])((?:\./)?(?:scripts|\.ci|examples|cmd|contrib|release)/[\w./-]*\w|[A-Z]+\.md)`)

// Workflows have known fields only, each step does one thing, and the scripts and files that
// they name exist.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	for _, path := range files {
		var w workflow
		readYAML(t, path, &w)
		if w.Name == "" || w.On.IsZero() || len(w.Jobs) == 0 || w.Permissions["contents"] == "" {
			t.Errorf("%s: name, on, jobs or permissions are missing", path)
		}
		for id, job := range w.Jobs {
			if job.RunsOn == "" || job.Timeout == 0 || len(job.Steps) == 0 {
				t.Errorf("%s: job %s has no runs-on, timeout-minutes or steps", path, id)
			}
			for i, s := range job.Steps {
				if (s.Uses == "") == (s.Run == "") {
					t.Errorf("%s: job %s, step %d: either uses or run", path, id, i)
				}
				if s.Uses != "" && !regexp.MustCompile(`^[\w-]+/[\w-]+@v\d+$`).MatchString(s.Uses) {
					t.Errorf("%s: job %s: action %q", path, id, s.Uses)
				}
				for _, m := range inRepository.FindAllStringSubmatch(s.Run, -1) {
					name := strings.TrimPrefix(m[1], "./")
					info, err := os.Stat(filepath.Join("..", name))
					if err != nil {
						t.Errorf("%s: job %s: %v", path, id, err)
						continue
					}
					script := strings.HasPrefix(name, "scripts/") || strings.HasPrefix(name, ".ci/")
					if script && filepath.Ext(name) == "" && info.Mode()&0o111 == 0 {
						t.Errorf("%s: job %s: %s is not executable", path, id, name)
					}
				}
			}
		}
	}
}

// The light job runs the README's commands on every system with the two newest releases
// of Go, the heavy one .ci/run.
func TestTestWorkflow(t *testing.T) {
	var w workflow
	readYAML(t, "../.github/workflows/test.yml", &w)
	light := w.Jobs["light"]
	if m := light.Strategy.Matrix; !slices.Equal(m["os"], []string{"ubuntu-latest", "macos-latest", "windows-latest"}) ||
		!slices.Equal(m["go"], []string{"stable", "oldstable"}) {
		t.Errorf("matrix %v", m)
	}
	runs := func(id string) (list []string) {
		for _, s := range w.Jobs[id].Steps {
			list = append(list, strings.TrimSpace(s.Run))
		}
		return list
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "in a clone of this repository:")
	commands := 0
	for line := range strings.Lines(text) {
		command, is := strings.CutPrefix(line, "    ")
		if !is && commands > 0 {
			break
		}
		if !is {
			continue
		}
		commands++
		if command = strings.TrimSpace(command); !slices.Contains(runs("light"), command) {
			t.Errorf("the light job does not run %q", command)
		}
	}
	if commands != 2 {
		t.Errorf("README.md has %d commands to begin with", commands)
	}
	if heavy := strings.Join(runs("heavy"), "\n"); !strings.Contains(heavy, ".ci/run") {
		t.Errorf("the heavy job runs %s", heavy)
	}
}

// Issue forms have the fields that the host knows, and an identifier for each question.
func TestIssueForms(t *testing.T) {
	files, err := filepath.Glob("../.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("issue forms: %v, %v", files, err)
	}
	for _, path := range files {
		if filepath.Base(path) == "config.yml" {
			var c struct {
				Blank bool                                `yaml:"blank_issues_enabled"`
				Links []struct{ Name, URL, About string } `yaml:"contact_links"`
			}
			readYAML(t, path, &c)
			continue
		}
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID   string
				Attributes struct {
					Label, Description, Placeholder, Render, Value string
					Options                                        []string
				}
				Validations struct{ Required bool }
			}
		}
		readYAML(t, path, &form)
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s: no name, description or body", path)
		}
		seen := map[string]bool{}
		for _, e := range form.Body {
			switch e.Type {
			case "markdown":
				if e.Attributes.Value == "" {
					t.Errorf("%s: text without text", path)
				}
				continue
			case "textarea", "input":
			case "dropdown":
				if len(e.Attributes.Options) == 0 {
					t.Errorf("%s: %s has no options", path, e.ID)
				}
			default:
				t.Errorf("%s: type %q", path, e.Type)
			}
			if e.ID == "" || seen[e.ID] || e.Attributes.Label == "" {
				t.Errorf("%s: %q has no label, or an identifier that is missing or not its own", path, e.ID)
			}
			seen[e.ID] = true
		}
	}
}
