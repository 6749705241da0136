package compare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mullion/mullion/compare"
)

func TestConfigs(t *testing.T) {
	const a = `{"created":"2020-01-01T00:00:00Z","os":"windows","os.version":"10.0.1","config":{"Env":["A=1","PATH=c:\\x"],
		"Cmd":["a"],"Labels":{"k":"<v>"},"ExposedPorts":{"80/tcp":{}}},"rootfs":{"diff_ids":["sha256:1"]},
		"history":[{"created":"2020-01-01T00:00:00Z","created_by":"one"},{"created_by":"two"}]}`
	const b = `{"created":"2021-01-01T00:00:00Z","os":"windows","os.version":"10.0.2","config":{"Env":["PATH=c:\\y","A=1"],
		"Labels":{"k":"<w>","big":123456789012345678901},"User":"u"},"rootfs":{"diff_ids":["sha256:2"]},
		"history":[{"created":"2021-01-01T00:00:00Z","created_by":"ein"}]}`
	want := []string{
		`removed config.Cmd: ["a"] -> `,
		`changed config.Env.PATH: "c:\\x" -> "c:\\y"`,
		`removed config.ExposedPorts.80/tcp: {} -> `,
		`added config.Labels.big:  -> 123456789012345678901`,
		`changed config.Labels.k: "<v>" -> "<w>"`,
		`added config.User:  -> "u"`,
		`changed history[0].created_by: "one" -> "ein"`,
		`removed history[1]: {"created_by":"two"} -> `,
		`changed os.version: "10.0.1" -> "10.0.2"`,
	}
	check := func(opt compare.ConfigOptions, want []string) {
		t.Helper()
		list, err := compare.Configs([]byte(a), []byte(b), opt)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, fmt.Sprintf("%v %s: %s -> %s", c.Kind, c.Field, c.Before, c.After))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	check(compare.ConfigOptions{}, want)
	timed := slices.Insert(slices.Clone(want), 6, `changed created: "2020-01-01T00:00:00Z" -> "2021-01-01T00:00:00Z"`,
		`changed history[0].created: "2020-01-01T00:00:00Z" -> "2021-01-01T00:00:00Z"`)
	check(compare.ConfigOptions{Times: true}, timed)

	if list, err := compare.Configs([]byte(a), []byte(a), compare.ConfigOptions{Times: true}); err != nil || list != nil {
		t.Errorf("a configuration differs from itself: %v, %v", list, err)
	}
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	if _, err := compare.Configs([]byte(deep), []byte(deep), compare.ConfigOptions{}); err == nil {
		t.Error("a configuration of 100 levels is accepted")
	}
	if _, err := compare.Configs([]byte("{"), []byte(a), compare.ConfigOptions{}); err == nil {
		t.Error("a configuration that is cut off is accepted")
	}
}
