package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mullion/mullion/internal/openfile"
	"github.com/mullion/mullion/regf"
)

// hiveFault is an error about a hive file, for which the advice depends on the command: one
// that failed must not be advised.
type hiveFault struct {
	path string
	err  error
}

func (e *hiveFault) Error() string { return e.err.Error() }
func (e *hiveFault) Unwrap() error { return e.err }

// readsHives are the commands in which --mode report skips faults.
var readsHives = map[string]bool{"hive query": true, "hive dump": true, "hive export": true, "hive compare": true,
	"hive os-version": true, "hive bcd": true, "hive diff": true, "hive merge": true}

// advice returns the hint for the command, "" if there is none that helps.
func (e *hiveFault) advice(command string) string {
	file := shellWord(e.path)
	flags := strings.HasPrefix(command, "hive ") // has --log, --allow-dirty and --mode
	repair := fmt.Sprintf("mullion hive repair %s -o OUT", file)
	records := fmt.Sprintf("mullion hive recover %s --deleted lists the keys and values that are in its cells", file)
	var cut *cutError
	is := func(err error) bool { return errors.Is(e.err, err) }
	switch {
	case (is(regf.ErrTruncated) || errors.As(e.err, &cut)) && e.size() <= baseBlock:
		return "" // nothing of the hive is left
	case errors.As(e.err, &cut):
		return repair + " saves the remaining data"
	case is(regf.ErrLogFile):
		return fmt.Sprintf("name the hive to which the log belongs: mullion hive recover HIVE --log %s -o OUT replays it", file)
	case is(regf.ErrNotHive), is(regf.ErrLimit):
		return e.container(command)
	case is(regf.ErrNoUsableLog) && command == "hive recover":
		return "the logs of a hive X are X.LOG1 and X.LOG2, or X.LOG; " + repair + " --allow-dirty saves it without its last changes"
	case is(regf.ErrNoUsableLog) && flags:
		return "--allow-dirty reads the hive without its last changes"
	case is(regf.ErrDirty) && flags:
		return "--log F replays its logs, --allow-dirty reads it without its last changes"
	case is(regf.ErrDirty):
		return fmt.Sprintf("mullion hive recover %s --log F -o OUT replays its logs", file)
	case is(regf.ErrTruncated), is(regf.ErrCorrupt), is(regf.ErrNeedsRepair), is(regf.ErrUnrepairable):
		switch {
		case command == "hive repair":
			return records
		case command == "hive check", command == "hive recover", is(regf.ErrTruncated):
			return repair + " saves what can be read"
		case is(regf.ErrNeedsRepair):
			return repair + " writes a sound copy, mullion hive check lists the faults"
		case readsHives[command] && e.skips():
			return "mullion hive check lists the faults, --mode report skips them, mullion hive repair mends them"
		}
		return "mullion hive check lists the faults, mullion hive repair mends them"
	}
	return ""
}

// baseBlock is the size of the block with which a hive begins.
const baseBlock = 4096

// size returns the size of the file, 0 if it cannot be told.
func (e *hiveFault) size() int64 {
	info, err := os.Stat(e.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// skips reports whether the hive can be opened where faults are skipped.
func (e *hiveFault) skips() bool {
	h, err := regf.Open(e.path, &regf.Options{Mode: regf.Report, AllowDirty: true})
	if err != nil {
		return false
	}
	return h.Close() == nil
}

// container returns advice on a file that is not read as a hive: one that holds layers, or a
// hive whose base block is damaged.
func (e *hiveFault) container(command string) string {
	f, err := openfile.Regular(e.path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 512)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	b = b[:n]
	if string(b[:min(n, len(hiveMagic))]) == hiveMagic && e.size() > baseBlock && command != "hive repair" {
		return fmt.Sprintf("its base block is damaged: mullion hive repair %s --allow-dirty -o OUT saves what can be read", shellWord(e.path))
	}
	packed := bytes.HasPrefix(b, []byte{0x1f, 0x8b}) || bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd})
	if !packed && (len(b) < 262 || string(b[257:262]) != "ustar") {
		return ""
	}
	layer, image := shellWord("tar:"+e.path), shellWord("oci-archive:"+e.path)
	switch command {
	case "hive query", "hive export", "hive dump":
		return fmt.Sprintf(`of a layer: mullion %s %s 'HKLM\SOFTWARE'; of an image in a file: %s`, command, layer, image)
	}
	return fmt.Sprintf(`mullion cat %s 'Windows\System32\config\SOFTWARE' -o FILE takes a hive out of a layer, mullion cat %s 'Hives\SOFTWARE_BASE' -o FILE out of an image`, layer, image)
}

// shellWord returns a word for a command line, quoted if it must be.
func shellWord(s string) string {
	for _, r := range s {
		if !strings.ContainsRune("%+-./:=@_", r) && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z') {
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}
