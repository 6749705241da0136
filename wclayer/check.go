package wclayer

import (
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/mullion/mullion/internal/hostfs"
	"github.com/mullion/mullion/internal/layerdir"
	"github.com/mullion/mullion/layer"
	"github.com/mullion/mullion/wctransport"
)

// The rules of Check about base layers.
const (
	RuleHive          = "base-hive-missing"       // a base layer lacks one of the five hives
	RuleHiveSignature = "base-hive-invalid"       // and one that is no hive
	RuleHiveLink      = "base-hive-not-processed" // Hives\*_BASE is not there
	RuleLayout        = "layout-missing"          // a base layer has no layout file
	hiveSignature     = "regf"
)

// Check yields the faults of the layer in a directory of either kind; for a transport
// directory it is [wctransport.Check]. A fault of one entry does not end the check. Check
// writes nothing, and does not read the contents of main streams, for which no checksum
// exists.
func Check(path string, opts ...Option) iter.Seq[layer.Finding] {
	return func(yield func(layer.Finding) bool) {
		if s, err := layerdir.ShapeAt(path); err == nil && s == layerdir.Transport {
			wctransport.Check(path, opts...)(yield)
			return
		}
		c := &layerdir.Checker{Path: path, Yield: yield}
		check(c, layerdir.NewOptions(opts))
	}
}

func check(c *layerdir.Checker, o layerdir.Options) {
	o.Tolerate = c.Tolerate
	public, err := open(c.Path, o)
	if err != nil {
		c.Failed(err)
		return
	}
	defer public.Close()
	r := &public.r
	audit := layer.Audit{Report: c.Report}
	base := false
	if r.Index != nil {
		base = r.Index.Flags&layerdir.IndexBase != 0
		audit.Base, audit.HasParents = base, !base
	}
	c.Entry = func() string { return r.Entry.Path }
	c.Entries(public, &audit, nil)
	if base && !c.Done {
		checkBase(c)
	}
}

// checkBase checks the results of base layer processing.
func checkBase(c *layerdir.Checker) {
	root, err := hostfs.OpenDirectory(c.Path)
	if err != nil {
		c.Failed(err)
		return
	}
	defer root.Close()
	if _, err := root.Stat(layerdir.LayoutName); err != nil {
		c.Tell(layer.Warning, RuleLayout, layerdir.LayoutName, "a base layer has a file of that name: %v", err)
	}
	p := &parent{path: c.Path}
	o := layerdir.NewOptions(nil)
	defer p.close()
	for _, h := range baseHives {
		source := hiveDirectory + `\` + h.source
		found, err := p.find(source, &o)
		if err != nil || found.Dir == nil {
			c.Tell(layer.SevereError, RuleHive, source, "a base layer must have this registry hive")
			continue
		}
		if err := signature(found.Dir, found.Name); err != nil {
			c.Tell(layer.SevereError, RuleHiveSignature, source, "%v", err)
		}
		if made, err := p.find(layerdir.HivesName+`\`+h.base, &o); err != nil || made.Dir == nil {
			c.Tell(layer.Warning, RuleHiveLink, layerdir.HivesName+`\`+h.base, "base layer processing makes it of %s", source)
		}
	}
}

func signature(d hostfs.Directory, name string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [4]byte
	if _, err := io.ReadFull(f, b[:]); err != nil || string(b[:]) != hiveSignature {
		return fmt.Errorf("it begins with %q and not with %q", strings.TrimRight(string(b[:]), "\x00"), hiveSignature)
	}
	return nil
}
