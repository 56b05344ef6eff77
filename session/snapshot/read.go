package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

// File is a snapshot whose checksum was right when it was opened. It stays readable when another one takes its place.
type File struct {
	f    *os.File
	head header
	maps [2][]run
	done map[string]bool // the upstreams whose pins were restored

	learned openings.Saved // nothing once it was restored
}

// run is where the entries of a run are.
type run struct {
	offset int64
	n      int
}

// Open opens the snapshot at path, nil if there is no file. The error says why a file cannot be used: it cannot be read, is damaged, of another version,
// or of another fleet, as check tells.
func Open(path string, check identity.Key) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &File{f: f, done: map[string]bool{}}
	if err := s.read(check); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *File) Close() error { return s.f.Close() }

// The reasons why a snapshot cannot be used.
var (
	errForeign = errors.New("is no snapshot of pins")
	errSecret  = errors.New("was written under another session secret")
	errDamaged = errors.New("is damaged")
)

// maxLearned bounds the places and the openings that are read. A table has fewer.
const maxLearned = 1 << 20

// read reads the whole file once: the header, the places of the runs, what was learned of openings, and the checksum.
func (s *File) read(check identity.Key) error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	r := &reader{sum: xxh3.New(), left: info.Size()}
	r.r = bufio.NewReaderSize(s.f, writeBuffer)
	if err := s.readHeader(r); err != nil {
		return err
	}
	for i := range s.maps {
		for {
			n := r.count(int(min(r.left/entrySize, 1<<31)))
			if n == 0 {
				break
			}
			s.maps[i] = append(s.maps[i], run{info.Size() - r.left, n})
			r.skip(n * entrySize)
		}
	}
	s.learned = r.learned()
	sum := r.sum.Sum64()
	if want := r.uint64(); r.err != nil || want != sum || r.left != 0 {
		return errDamaged
	}
	if s.head.check != check {
		return errSecret
	}
	return nil
}

// readHeader reads what stands before the maps.
func (s *File) readHeader(r *reader) error {
	if string(r.bytes(len(magic))) != magic {
		return errForeign
	}
	if v := r.uint32(); r.err == nil && v != version {
		return fmt.Errorf("is of version %d, want %d", v, version)
	}
	s.head.check = identity.Key{Hi: r.uint64(), Lo: r.uint64()}
	s.head.savedAt = time.UnixMilli(int64(r.uint64()))
	for range r.count(maxUpstreams) {
		name := string(r.bytes(r.count(maxName)))
		s.head.members = append(s.head.members, member{name, r.uint64(), r.uint32()})
	}
	return nil
}

// reader reads parts of a file and hashes them. After an error it reads zeros.
type reader struct {
	r    *bufio.Reader
	sum  *xxh3.Hasher
	left int64 // bytes of the file
	buf  []byte
	err  error
}

// bytes returns the next n bytes, valid until the next call.
func (r *reader) bytes(n int) []byte {
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	clear(b)
	if r.err == nil {
		_, r.err = io.ReadFull(r.r, b)
	}
	if r.err == nil {
		r.left -= int64(n)
		_, _ = r.sum.Write(b) // never fails
	}
	return b
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

// count reads a number of at most limit.
func (r *reader) count(limit int) int {
	n := r.uint32()
	if int64(n) > int64(limit) && r.err == nil {
		r.err = errDamaged
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// learned reads what was learned of openings.
func (r *reader) learned() (s openings.Saved) {
	s.Roots = slices.Clone(r.bytes(openings.RootSize * r.count(int(min(r.left/openings.RootSize, maxLearned)))))
	s.Openings = slices.Clone(r.bytes(openings.OpeningSize * r.count(int(min(r.left/openings.OpeningSize, maxLearned)))))
	return s
}

func (r *reader) skip(n int) {
	for n > 0 && r.err == nil {
		k := min(n, writeBuffer)
		r.bytes(k)
		n -= k
	}
}

// Restored is what Restore made of a snapshot.
type Restored struct {
	// Pins were made again. Dropped were not: they had expired, or had no buffer left in the map.
	Pins, Dropped int
	// Unknown are the upstreams whose pins are left: the table does not have them, or has them at another address.
	Unknown int
}

// Restore makes the pins again whose upstreams the table has, under the same address. It may be called again with another table: it then
// restores the pins of upstreams that are new in the table.
func (s *File) Restore(table *upstream.Table, maps Maps, now time.Time) (done Restored, err error) {
	wanted, unknown := s.wanted(table)
	done.Unknown = unknown
	passed := max(0, now.Sub(s.head.savedAt))
	for i, m := range maps.all() {
		err := s.merge(s.maps[i], func(p *pins.Saved, index int) {
			if index >= len(wanted) || wanted[index].Ref == 0 {
				return
			}
			p.Ref = wanted[index].Ref
			p.Turn.Mark += wanted[index].mark
			p.Age += passed
			if pins.Restore(m, p, now) {
				done.Pins++
			} else {
				done.Dropped++
			}
		})
		if err != nil {
			return done, err
		}
	}
	maps.Openings.Restore(s.learned, now)
	s.learned = openings.Saved{}
	for i, w := range wanted {
		if w.Ref != 0 {
			s.done[s.head.members[i].name] = true
		}
	}
	return done, nil
}

// target is the upstream of pins, and what their marks must be moved by.
type target struct {
	upstream.Ref
	mark uint32
}

// wanted returns the targets of the snapshot's upstreams, zero for those that are restored already or not in the table.
func (s *File) wanted(table *upstream.Table) (all []target, unknown int) {
	all = make([]target, len(s.head.members))
	for i, m := range s.head.members {
		if s.done[m.name] {
			continue
		}
		u := table.Named(m.name)
		if u == nil || memberOf(u.Upstream).address != m.address {
			unknown++
			continue
		}
		all[i] = target{u.Ref(), u.Mark() - m.mark}
	}
	return all, unknown
}
