package dockerfile

import (
	"regexp"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The rules of BuildKit's linter whose conditions are outside its packages, in its package
// dockerfile2llb, which links the whole client.

// lintNames warns of stage names and of the case of instructions.
func (s *source) lintNames() {
	seen := map[string]bool{}
	lower, upper := 0, 0
	count := func(name string) {
		switch name {
		case strings.ToLower(name):
			lower++
		case strings.ToUpper(name):
			upper++
		}
	}
	for _, st := range s.stages {
		count(st.OrigCmd)
		for _, c := range st.Commands {
			count(c.Name())
		}
		if st.Name == "" {
			continue
		}
		if st.Name == "context" || st.Name == "scratch" {
			s.lint.Run(&linter.RuleReservedStageName, st.Location, linter.RuleReservedStageName.Format(st.Name))
		}
		if seen[st.Name] {
			s.lint.Run(&linter.RuleDuplicateStageName, st.Location, linter.RuleDuplicateStageName.Format(st.Name))
		}
		seen[st.Name] = true
	}
	check := func(name string, at []parser.Range) {
		want, casing := strings.ToUpper(name), "uppercase"
		if lower > upper {
			want, casing = strings.ToLower(name), "lowercase"
		}
		if name != want {
			s.lint.Run(&linter.RuleConsistentInstructionCasing, at, linter.RuleConsistentInstructionCasing.Format(name, casing))
		}
	}
	for _, st := range s.stages {
		check(st.OrigCmd, st.Location)
		for _, c := range st.Commands {
			check(c.Name(), c.Location())
		}
	}
}

// The names of variables that hold secrets, and those among them that do not.
var (
	secretName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)`)
	})
	publicName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:_|^)(?:public|file|version)(?:_|$)`)
	})
)

func lintSecret(l *linter.Linter, c instructions.Command, instruction, key string) {
	if secretName().MatchString(key) && !publicName().MatchString(key) {
		l.Run(&linter.RuleSecretsUsedInArgOrEnv, c.Location(), linter.RuleSecretsUsedInArgOrEnv.Format(instruction, key))
	}
}
