package snapshot

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"time"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

// A process that has handed over still answers what it had begun, and learns where sessions are by that. It tells the new process in batches:
// magic, version, check value, time and upstreams as in a file, then for each map a number of entries and the entries, and what was
// learned of openings.

// Since says from which uses on a batch has what was used: pins to a tenth of a second, openings to a second. A zero time of Openings leaves
// them out, because all of their table must be looked at.
type Since struct{ Pins, Openings time.Time }

// AppendChanges appends a batch of what was used since a time, or nothing if there is nothing.
func AppendChanges(b []byte, check identity.Key, table *upstream.Table, maps Maps, since Since, now time.Time) []byte {
	begin := len(b)
	h := header{check: check, savedAt: now}
	for i := range table.Members {
		h.members = append(h.members, memberOf(table.Members[i].Upstream))
	}
	b = h.append(b)
	found := false
	for _, m := range maps.all() {
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		_ = pins.Recent(m, since.Pins, now, func(run []pins.Saved) error { // there is no error
			b = appendEntries(b, run, table)
			return nil
		})
		n := (len(b) - at - 4) / entrySize
		binary.LittleEndian.PutUint32(b[at:], uint32(n))
		found = found || n > 0
	}
	var learned openings.Saved
	if !since.Openings.IsZero() {
		maps.Openings.Save(&learned, since.Openings)
	}
	if !found && len(learned.Roots)+len(learned.Openings) == 0 {
		return b[:begin]
	}
	return appendLearned(b, learned)
}

// ApplyChanges takes a batch over, and returns the number of pins that are others now. Pins to upstreams that the table does not have at the same
// address do not count. The error is that of another version or secret, or of a damaged batch, which may have been taken over in part.
func ApplyChanges(batch []byte, check identity.Key, table *upstream.Table, maps Maps, now time.Time) (n int, err error) {
	r := &reader{r: bufio.NewReader(bytes.NewReader(batch)), sum: xxh3.New(), left: int64(len(batch))}
	f := &File{}
	if err := f.readHeader(r); err != nil {
		return 0, err
	}
	if r.err == nil && f.head.check != check {
		return 0, errSecret
	}
	wanted, _ := f.wanted(table)
	for _, m := range maps.all() {
		for range r.count(int(r.left / entrySize)) {
			p, index := entry(r.bytes(entrySize))
			if r.err != nil || index >= len(wanted) || wanted[index].Ref == 0 {
				continue
			}
			p.Ref, p.Turn.Mark = wanted[index].Ref, p.Turn.Mark+wanted[index].mark
			if pins.Adopt(m, &p, now) {
				n++
			}
		}
	}
	learned := r.learned()
	if r.err != nil || r.left != 0 {
		return n, errDamaged
	}
	maps.Openings.Restore(learned, now)
	return n, nil
}
