package overlay

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"

	"github.com/mullion/mullion/internal/publish"
)

const (
	journalName  = "journal"
	journalMagic = "MULOVL1\n"
	recordHeader = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal is the file of records, open for appending.
type journal struct {
	f      *os.File
	size   int64 // of the part that is known to be complete
	buf    []byte
	broken bool
	dirty  bool // something was written since the last sync
}

// appendRecord frames a payload.
func appendRecord(b, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// write appends one record. A partial write is truncated again.
func (j *journal) write(ops []op) error {
	if j.broken {
		return ErrBroken
	}
	b := append(j.buf[:0], make([]byte, recordHeader)...)
	for i := range ops {
		b = ops[i].append(b)
	}
	j.buf = b
	payload := b[recordHeader:]
	if len(payload) > maxRecord {
		return ErrTooLarge
	}
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(payload, castagnoli))
	n, err := j.f.WriteAt(b, j.size)
	if err != nil {
		if n > 0 {
			if terr := j.f.Truncate(j.size); terr != nil {
				j.broken = true
			}
		}
		return err
	}
	j.size += int64(n)
	j.dirty = true
	return nil
}

func (j *journal) sync() error {
	if !j.dirty {
		return nil
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.dirty = false
	return nil
}

// readJournal calls fn for the payload of each complete record and returns the length of
// the journal up to the end of the last. A file that is shorter than the magic number
// counts as empty if it is a prefix of it. The payload is valid until fn returns.
func readJournal(r io.Reader, fn func(payload []byte) error) (int64, error) {
	var magic [len(journalMagic)]byte
	n, err := io.ReadFull(r, magic[:])
	if string(magic[:n]) != journalMagic[:n] {
		return 0, corrupt("it does not begin with %q", journalMagic)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	size := int64(len(magic))
	var header [recordHeader]byte
	var buf []byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return size, ignoreEnd(err)
		}
		length := binary.LittleEndian.Uint32(header[:])
		if length == 0 || length > maxRecord {
			return size, nil
		}
		if buf, err = readPayload(r, buf[:0], int(length)); err != nil {
			return size, ignoreEnd(err)
		}
		if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
			return size, nil
		}
		if err := fn(buf); err != nil {
			return size, err
		}
		size += recordHeader + int64(length)
	}
}

// readPayload reads n bytes in steps, so that a wrong length uses no memory.
func readPayload(r io.Reader, buf []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, 64<<10)
		at := len(buf)
		buf = append(buf, make([]byte, step)...)
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return buf, err
		}
		n -= step
	}
	return buf, nil
}

func ignoreEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// createJournal writes a journal with these records, durably, and replaces the existing
// one.
func createJournal(root *os.Root, records [][]op) (*journal, error) {
	set, err := publish.OpenSet(root, journalName, publish.Options{})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	f, err := set.Create(journalName, 0o600)
	if err != nil {
		return nil, err
	}
	b := []byte(journalMagic)
	var payload []byte
	size := int64(0)
	flush := func() error {
		n, err := f.Write(b)
		size += int64(n)
		b = b[:0]
		return err
	}
	for _, ops := range records {
		payload = payload[:0]
		for i := range ops {
			payload = ops[i].append(payload)
		}
		if b = appendRecord(b, payload); len(b) > 1<<20 && err == nil {
			err = flush()
		}
	}
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = set.Publish(journalName, journalName)
	}
	if err == nil {
		err = publish.SyncDir(root)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &journal{f: f.File, size: size}, nil
}
