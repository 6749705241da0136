package finding

import (
	"fmt"

	"github.com/mullion/mullion/internal/wtf8"
)

// MarshalJSON returns an object with the fields severity, rule, layer, path, value,
// offset, message and hint, in this order. Fields without a value are left out. A lone
// surrogate in a text, which UTF-8 cannot hold, is written as the escape \ud800, so that
// different names stay different.
func (f Finding) MarshalJSON() ([]byte, error) {
	severity, err := f.Severity.MarshalText()
	if err != nil {
		return nil, err
	}
	out := append([]byte(`{"severity":"`), severity...)
	out = append(out, '"')
	field := func(name, text string, always bool) {
		if text == "" && !always || err != nil {
			return
		}
		out = append(append(append(out, `,"`...), name...), `":`...)
		out, err = wtf8.AppendJSON(out, text)
	}
	field("rule", f.Rule, true)
	field("layer", f.Layer, false)
	field("path", f.Path, false)
	field("value", f.Value, false)
	if f.Offset >= 0 {
		out = fmt.Appendf(out, `,"offset":%d`, f.Offset)
	}
	field("message", f.Message, true)
	field("hint", f.Hint, false)
	return append(out, '}'), err
}
