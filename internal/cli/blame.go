package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mullion/mullion/history"
	"github.com/mullion/mullion/hives"
	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/regf"
	"github.com/mullion/mullion/winfs"
	"github.com/spf13/cobra"
)

// blamed is an event as "mullion blame --json" prints it.
type blamed struct {
	Layer   *jsonLayer    `json:"layer"`
	Event   string        `json:"event"`
	History *layerHistory `json:"history,omitempty"`
	Cause   *blamedCause  `json:"cause,omitempty"`

	// Of a file.
	What   []string   `json:"what,omitempty"`
	Entry  *jsonEntry `json:"entry,omitempty"`
	SHA256 string     `json:"sha256,omitempty"` // of the main stream

	// Of a registry key.
	Delta    string        `json:"delta,omitempty"`
	Modified jsonTime      `json:"modified,omitzero"`
	Values   []blamedValue `json:"values,omitempty"`
}

// blamedCause is what removes, empties or replaces: an entry of the layer, or a key of its
// hive, which has no kind.
type blamedCause struct {
	Kind string `json:"kind,omitempty"`
	Path wtf8   `json:"path"`
}

// blamedValue is a change of a registry value.
type blamedValue struct {
	Name   wtf8      `json:"name"`
	Before *jsonData `json:"before,omitempty"`
	After  *jsonData `json:"after,omitempty"`
}

// blame is one run of the command.
type blame struct {
	c       *console
	flags   contentFlags
	file    bool
	key     bool
	value   string
	hasName bool // --value was given
}

func newBlameCommand(c *console) *cobra.Command {
	b := &blame{c: c, flags: contentFlags{layer: -1}}
	cmd := &cobra.Command{
		Use:   "blame IMAGE|LAYER PATH|KEY",
		Short: "Show which layers brought, changed or hid a file or a registry key",
		Long: `Print a row for each layer that did something to a file or a registry key, the
base layer first, and below it the line of the image's history that made the
layer.

The events of a file are added, changed (with the aspects that differ, as in
"diff"), replaced, repeated (the same once more), linked, removed, restored, and
emptied for a directory whose content is hidden. Below a cause is named, such as
a whiteout of a directory above. A hard link is not followed.

The events of a key are added, changed, replaced, repeated (the layer has the
key and changes no value), removed and restored, with the values before and
after. The base layer has whole hives, the others have delta hives, whose keys
merge with those below, supersede them or are tombstones. -v shows one value.

The argument is a key if it begins with HKLM, HKU, HKCU (the default user),
HKCR (the classes in SOFTWARE), the long form of one, such as
HKEY_LOCAL_MACHINE, or the name of a hive: SOFTWARE, SYSTEM, SAM, SECURITY or
DEFAULT. Everything else is a path. --key and --file decide otherwise.
CurrentControlSet is the control set that the base layer selects. Layers are
read to the end, or answered from the cache ("mullion cache --help").

` + referenceHelp,
		Example: `  mullion blame oci-archive:hello.tar Files/hello/hello.txt
  mullion blame oci:layout:v1 'HKLM\SOFTWARE\Vendor\App' -v Level
  mullion blame --parent tar:base.tar tar:app.tar 'Files\Windows'
  mullion blame --json oci:layout:v1 Files/run.cmd | jq .history.createdBy`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			b.hasName = cmd.Flags().Changed("value")
			return b.run(cmd.Context(), args[0], args[1])
		},
	}
	b.flags.image.add(cmd)
	b.flags.options.addParents(cmd)
	cmd.Flags().BoolVar(&b.file, "file", false, "the argument is a path")
	cmd.Flags().BoolVar(&b.key, "key", false, "the argument is a registry key")
	cmd.Flags().StringVarP(&b.value, "value", "v", "", "show only the registry value `NAME`; an empty name is the default value")
	return cmd
}

func (b *blame) run(ctx context.Context, ref, what string) (err error) {
	n, key, isKey, err := parseKeyArg(what)
	switch {
	case b.file && b.key:
		return usagef("--file and --key exclude each other")
	case b.file && b.hasName:
		return usagef("--value is for registry keys, not files")
	case b.file:
		isKey = false
	case !isKey && (b.key || b.hasName):
		return usagef("%q is not a key: it begins with HKLM, HKU or the name of a hive", what)
	case err != nil:
		return err
	}
	if err := b.flags.check(ref); err != nil {
		return err
	}
	b.flags.options.limits = b.c.limits
	var sources []layer.Source
	var histories []*layerHistory
	if l, ok := parseLayerRef(ref); ok {
		if sources, err = l.chain(ctx, b.c, &b.flags.options); err != nil {
			return err
		}
	} else {
		img, err := b.flags.openImage(ctx, b.c, ref)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, img.Close()) }()
		sources, histories = img.Sources(ctx), historiesOf(img)
	}
	if isKey {
		return b.blameKey(ctx, sources, histories, n, key)
	}
	return b.blameFile(ctx, sources, histories, insidePath(what))
}

// historiesOf returns the entries of the history that made the layers, nil if the image
// does not have one for each.
func historiesOf(img *image.Image) []*layerHistory {
	list := layersOf(img.Config())
	if len(list) != len(img.Layers()) {
		return nil
	}
	out := make([]*layerHistory, len(list))
	for i, h := range list {
		out[i] = &layerHistory{showCreated(h.Created), h.CreatedBy, h.Comment}
	}
	return out
}

// parseKeyArg parses a key in a hive of an image: HKLM\SOFTWARE\App and the other places
// of hives.ParseKeyPath, or SOFTWARE\App. ok is false for a path. The error is about a key
// of another hive.
func parseKeyArg(s string) (n hives.Name, key string, ok bool, err error) {
	path := strings.TrimPrefix(s, `\`)
	first, rest := cutKey(path)
	switch strings.ToUpper(strings.TrimSuffix(first, ":")) {
	case "HKLM", "HKEY_LOCAL_MACHINE", "HKU", "HKEY_USERS", "HKCU", "HKEY_CURRENT_USER", "HKCR", "HKEY_CLASSES_ROOT":
		if n, key, ok = hives.ParseKeyPath(path); !ok {
			return 0, "", true, usagef("%q: the hives of an image are HKLM\\SOFTWARE, HKLM\\SYSTEM, HKLM\\SAM, HKLM\\SECURITY and HKU\\.DEFAULT", s)
		}
		return n, key, true, nil
	}
	if !isHive(first) {
		return 0, "", false, nil
	}
	n, _ = hives.ParseName(first)
	return n, rest, true, nil
}

// isHive reports whether a name is that of a hive, and not only of one of its files.
func isHive(name string) bool {
	n, ok := hives.ParseName(name)
	return ok && winfs.EqualFold(n.String(), name)
}

func cutKey(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, `\`)
	return first, rest
}

func (b *blame) blameFile(ctx context.Context, sources []layer.Source, histories []*layerHistory, path string) error {
	events, err := history.File(ctx, sources, path, b.c.limits)
	if errors.Is(err, fs.ErrNotExist) {
		return containerHint(path, err)
	}
	if err != nil {
		return imageHint(err)
	}
	b.c.stopProgress()
	if err := b.head(); err != nil {
		return err
	}
	for _, e := range events {
		x := b.event(e.Layer, e.Action, histories)
		x.SHA256 = e.SHA256
		if e.What != 0 {
			x.What = strings.Split(e.What.String(), ",")
		}
		if e.Cause != nil {
			x.Cause = &blamedCause{kindOf(e.Cause.Kind, nil), wtf8(e.Cause.Path)}
		}
		if e.Entry != nil {
			x.Entry = entryOf(e.Entry)
			if x.Entry.Size != nil {
				x.Entry.Size = &e.Size
			}
		}
		if err := b.print(x, fileDetail(&e)); err != nil {
			return err
		}
	}
	return nil
}

// fileDetail describes an event in a few words.
func fileDetail(e *history.FileEvent) string {
	var list []string
	if e.What != 0 {
		list = append(list, strings.ReplaceAll(e.What.String(), ",", ", "))
	}
	switch {
	case e.Action == history.Linked:
		list = append(list, "to "+e.Entry.Target)
	case e.Entry == nil && e.Cause == nil:
		list = append(list, "directory of what is below it")
	case e.Entry != nil && e.Entry.Kind == layer.File:
		list = append(list, kindOf(e.Entry.Kind, e.Entry.Reparse)+" of "+formatSize(e.Size))
	case e.Entry != nil:
		list = append(list, kindOf(e.Entry.Kind, e.Entry.Reparse))
	}
	if e.Cause != nil {
		list = append(list, "by "+e.Cause.String())
	}
	return strings.Join(list, "; ")
}

func (b *blame) blameKey(ctx context.Context, sources []layer.Source, histories []*layerHistory, n hives.Name, key string) (err error) {
	found, err := image.FindHives(ctx, sources, n)
	if err != nil {
		return imageHint(err)
	}
	var warnings hiveWarnings
	found.Warn = warnings.add
	defer func() {
		warnings.print(b.c)
		err = errors.Join(err, found.Close())
	}()
	asked := key
	if key, err = controlSet(found, n, asked); err != nil {
		return err
	}
	b.c.noteKey(asked, key, n.String())
	var value *string
	if b.hasName {
		name := regf.UnescapeName(b.value)
		value = &name
	}
	events, err := history.Key(ctx, found, n, key, value)
	if err != nil {
		return damagedHint(err)
	}
	b.c.stopProgress()
	if err := b.head(); err != nil {
		return err
	}
	for _, e := range events {
		x := b.event(e.Layer, e.Action, histories)
		x.Modified = jsonTime(e.Modified)
		if e.Delta != regf.LayerMerge {
			x.Delta = e.Delta.String()
		}
		detail := x.Delta
		if e.Cause != "" {
			x.Cause = &blamedCause{Path: wtf8(e.Cause)}
			detail += " of " + escapePath(e.Cause)
		}
		for _, v := range e.Values {
			x.Values = append(x.Values, blamedValue{wtf8(v.Name), blamedData(v.Before), blamedData(v.After)})
		}
		if err := b.print(x, detail); err != nil {
			return err
		}
	}
	return nil
}

// controlSet replaces CurrentControlSet, which Windows makes when it starts, by the control
// set that the base layer selects.
func controlSet(found *image.Hives, n hives.Name, key string) (string, error) {
	first, rest := cutKey(key)
	if n != hives.System || !winfs.EqualFold(first, "CurrentControlSet") {
		return key, nil
	}
	for _, form := range []hives.Form{hives.Config, hives.Base} {
		h, err := found.InLayer(0, n, form)
		if err != nil {
			continue
		}
		v, err := h.Value("Select", "Current")
		var current uint32
		if err == nil {
			current, err = v.AsUint32()
		}
		if err = errors.Join(err, h.Close()); err == nil {
			return strings.TrimSuffix(fmt.Sprintf(`ControlSet%03d\%s`, current, rest), `\`), nil
		}
	}
	return "", hintf(errors.New("the base layer selects no control set"), `name one, as in HKLM\SYSTEM\ControlSet001`)
}

func blamedData(d *history.Data) *jsonData {
	if d == nil {
		return nil
	}
	return &jsonData{d.Type, d.Bytes}
}

func (b *blame) event(index int, a history.Action, histories []*layerHistory) *blamed {
	x := &blamed{Layer: b.flags.layerAt(index), Event: a.String()}
	if histories != nil {
		x.History = histories[index]
	}
	return x
}

func (b *blame) head() error {
	if b.c.json {
		return nil
	}
	return b.c.printf("%-5s  %-19s  %-8s  %s\n", "LAYER", "DIGEST", "EVENT", "DETAIL")
}

// print prints an event: a row, the values, the line of the history.
func (b *blame) print(x *blamed, detail string) error {
	if b.c.json {
		return b.c.printJSONLine(x)
	}
	var out strings.Builder
	row := fmt.Sprintf("%-5d  %-19.19s  %-8s  %s", x.Layer.Index, cmp.Or(x.Layer.Digest, "-"), x.Event, visible(detail))
	out.WriteString(strings.TrimRight(row, " ") + "\n")
	for _, v := range x.Values {
		fmt.Fprintf(&out, "       %s: %s -> %s\n", escapeValueName(string(v.Name)), dataText(v.Before), dataText(v.After))
	}
	if x.History != nil {
		if line := cmp.Or(x.History.CreatedBy, x.History.Comment); line != "" {
			fmt.Fprintf(&out, "       %s\n", visible(line))
		}
	}
	return b.c.printText(out.String())
}

// dataText formats the data of a value, "none" if there is no value.
func dataText(d *jsonData) string {
	if d == nil {
		return "none"
	}
	return d.Type.String() + " " + valueText(d.Type, d.Data)
}
