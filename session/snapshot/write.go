package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

// Write replaces the file at path by a snapshot of the maps, whose upstreams are those of table. It returns the number of pins. After
// an error, which is the operating system's, the file is as before. One call at a time may write to a path.
func Write(path string, check identity.Key, table *upstream.Table, maps Maps, now time.Time) (n int, err error) {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = write(f, check, table, maps, now)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary) // a full disk needs the space
		return 0, err
	}
	return n, syncFolder(filepath.Dir(path))
}

// syncFolder makes the new name of a file last.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

const writeBuffer = 1 << 20

func write(f io.Writer, check identity.Key, table *upstream.Table, maps Maps, now time.Time) (n int, err error) {
	sum := xxh3.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), writeBuffer)
	h := header{check: check, savedAt: now}
	for i := range table.Members {
		h.members = append(h.members, memberOf(table.Members[i].Upstream))
	}
	buf := h.append(nil)
	if _, err := w.Write(buf); err != nil {
		return 0, err
	}
	for _, m := range maps.all() {
		err := pins.Save(m, now, func(run []pins.Saved) error {
			buf = appendRun(buf[:0], run, table)
			if len(buf) == 4 { // an empty run would be the end of the map
				return nil
			}
			n += (len(buf) - 4) / entrySize
			_, err := w.Write(buf)
			return err
		})
		if err != nil {
			return 0, err
		}
		if _, err := w.Write(make([]byte, 4)); err != nil {
			return 0, err
		}
	}
	var learned openings.Saved
	maps.Openings.Save(&learned, time.Time{})
	if _, err := w.Write(appendLearned(buf[:0], learned)); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	_, err = f.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
	return n, err
}

// appendLearned appends what was learned of openings.
func appendLearned(b []byte, s openings.Saved) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Roots)/openings.RootSize))
	b = append(b, s.Roots...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.Openings)/openings.OpeningSize))
	return append(b, s.Openings...)
}

// appendRun appends a run, without the pins to upstreams that the table does not have.
func appendRun(b []byte, run []pins.Saved, table *upstream.Table) []byte {
	b = appendEntries(append(b, 0, 0, 0, 0), run, table)
	binary.LittleEndian.PutUint32(b, uint32((len(b)-4)/entrySize))
	return b
}

// appendEntries appends pins, without those to upstreams that the table does not have.
func appendEntries(b []byte, run []pins.Saved, table *upstream.Table) []byte {
	for i := range run {
		if index := table.Index(run[i].Ref); index >= 0 {
			b = appendEntry(b, &run[i], index)
		}
	}
	return b
}
