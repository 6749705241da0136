package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/winfs"
)

// maxVariable is the length of a variable in UTF-16 units, which Windows limits (MS Learn,
// "Environment Variables"), and maxExpansion the bytes that the variables in one word may
// have together, so that a Dockerfile cannot grow without bound.
const (
	maxVariable  = 32767
	maxExpansion = 1 << 20
)

// variables are the variables of a stage that its instructions set, ARG and ENV, and those of
// the base image's configuration. Names are found without regard to case, as in Windows; a
// name keeps its first spelling.
type variables struct {
	names  []string // in the order in which they were set
	values map[string]string
}

// set sets a variable.
func (v *variables) set(name, value string) {
	key := winfs.Fold(name)
	if v.values == nil {
		v.values = map[string]string{}
	}
	if _, known := v.values[key]; !known {
		v.names = append(v.names, name)
	}
	v.values[key] = value
}

func (v *variables) get(name string) (string, bool) {
	value, ok := v.values[winfs.Fold(name)]
	return value, ok
}

func (v *variables) clone() variables {
	return variables{slices.Clone(v.names), maps.Clone(v.values)}
}

// words returns NAME=value words in the order in which the variables were set.
func (v *variables) words() []string {
	var words []string
	for _, n := range v.names {
		value, _ := v.get(n)
		words = append(words, n+"="+value)
	}
	return words
}

// An expander replaces the variables in the words of instructions.
type expander struct {
	lex       *shell.Lex
	escape    rune
	variables *variables
	// registry returns the variables that the registry of the image has, opened when a
	// variable is met that the stage has not set. It is nil where no image is: before FROM.
	registry func() (*hives.Env, error)

	percent []string // values of %NAME% in the current word
	grown   int      // bytes of all values in it
	err     error
}

// percentKey begins the name by which the value of a %NAME% is passed through BuildKit's
// lexer, which removes quotes and escapes around it. No variable has such a name.
const percentKey = "MULLION_PERCENT_"

// Get implements shell.EnvGetter.
func (x *expander) Get(name string) (string, bool) {
	value, ok := x.find(name)
	if x.grown += len(value); x.grown > maxExpansion {
		x.fail(fmt.Errorf("%w: the variables in one word have more than %d bytes", ErrLimit, maxExpansion))
		return "", true
	}
	return value, ok
}

func (x *expander) find(name string) (string, bool) {
	if digits, ok := strings.CutPrefix(name, percentKey); ok {
		var n int
		if _, err := fmt.Sscanf(digits, "%d", &n); err == nil && n >= 0 && n < len(x.percent) {
			return x.percent[n], true
		}
	}
	if value, ok := x.variables.get(name); ok || x.registry == nil || name == "" || x.err != nil {
		return value, ok
	}
	env, err := x.registry()
	if err != nil {
		x.fail(fmt.Errorf("variable %s: %w", short(name, 100), err))
		return "", false
	}
	return env.Get(name)
}

func (x *expander) fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// Keys implements shell.EnvGetter.
func (x *expander) Keys() []string { return x.variables.names }

// expansion is a word with its variables replaced.
type expansion struct {
	text      string
	unmatched []string // names of variables that are not set, sorted
	matched   map[string]struct{}
}

// word expands one word as BuildKit does, and %NAME% as cmd does, outside of single quotes:
// a name that is not set stays as it is.
func (x *expander) word(word string) (expansion, error) {
	x.begin()
	r, err := x.lex.ProcessWordWithMatches(x.markPercent(word), x)
	if x.err != nil {
		err = x.err
	}
	if err != nil {
		return expansion{}, err
	}
	return expansion{r.Result, slices.Sorted(maps.Keys(r.Unmatched)), r.Matched}, nil
}

// words expands a text and splits it into words.
func (x *expander) words(text string) ([]string, error) {
	x.begin()
	words, err := x.lex.ProcessWords(x.markPercent(text), x)
	if x.err != nil {
		return nil, x.err
	}
	return words, err
}

// plain expands the text of a heredoc: quotes are ordinary characters.
func (x *expander) plain(text string) (expansion, error) {
	lex := shell.NewLex('\\')
	lex.SkipProcessQuotes = true
	x.begin()
	r, err := lex.ProcessWordWithMatches(text, x)
	if x.err != nil {
		err = x.err
	}
	return expansion{r.Result, slices.Sorted(maps.Keys(r.Unmatched)), r.Matched}, err
}

func (x *expander) begin() { x.percent, x.grown, x.err = x.percent[:0], 0, nil }

// markPercent replaces each %NAME% of a variable that is set by one of the form ${NAME},
// outside of single quotes and where no escape precedes it.
func (x *expander) markPercent(word string) string {
	if strings.Count(word, "%") < 2 {
		return word
	}
	var b strings.Builder
	var quote rune
	escaped, doubled := false, false
	for i := 0; i < len(word); {
		c := rune(word[i])
		switch {
		case escaped:
			escaped, doubled = false, c == x.escape
		case c == x.escape && quote == 0:
			escaped = true
		case c == x.escape && quote == '"':
			// In double quotes it escapes three characters only.
			escaped, doubled = i+1 < len(word) && strings.IndexByte("\"$"+string(x.escape), word[i+1]) >= 0, false
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		case c == '%' && quote != '\'':
			if end := strings.IndexByte(word[i+1:], '%'); end > 0 {
				name := word[i+1 : i+1+end]
				if value, ok := x.percentValue(name); ok {
					if quote == '"' && i > 0 && rune(word[i-1]) == x.escape && !doubled {
						b.WriteRune(x.escape) // the one before would escape the $
					}
					fmt.Fprintf(&b, "${%s%d}", percentKey, len(x.percent))
					x.percent = append(x.percent, value)
					i += end + 2
					continue
				}
			}
		}
		b.WriteByte(word[i])
		i++
	}
	return b.String()
}

// percentValue returns the value of a variable whose name is between percent signs. A name
// with characters that cmd gives a meaning there is none.
func (x *expander) percentValue(name string) (string, bool) {
	if strings.ContainsAny(name, "\"'$:*=%\x00") {
		return "", false
	}
	return x.find(name)
}

// checkVariable refuses a variable that Windows cannot have.
func checkVariable(name, value string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("%w: %q is no name of a variable", ErrSyntax, short(name, 100))
	case strings.Contains(value, "\x00"):
		return fmt.Errorf("%w: the value of %s has a NUL", ErrSyntax, short(name, 100))
	case winfs.UTF16Len(name)+winfs.UTF16Len(value) >= maxVariable:
		return fmt.Errorf("%w: the value of %s is longer than the %d characters of a variable in Windows", ErrLimit, short(name, 100), maxVariable)
	}
	return nil
}
