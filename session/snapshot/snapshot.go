// Package snapshot keeps what tether knows of sessions over a stop and a start, in a file: where sessions are, where stored responses are, and what
// was learned of how conversations open, without which conversations without an id would get another one. Pins belong to upstreams by name,
// and only while the upstream's address is the same.
//
// Package app writes the file every few minutes and at the end, and reads it at the start. A file is replaced as a whole, or not at
// all. A Lock keeps other processes from writing it.
//
// The layout, all numbers little-endian: magic, version, the check value, when it was saved, the upstreams, two maps of runs, the places in
// prompts and the openings, each a number of entries and the entries, and a checksum of all of that. A run has a number of entries and
// then the entries, the least recently used first; a run of 0 entries ends a map.
//
// All other files are tested in snapshot_test.go.
package snapshot

import (
	"encoding/binary"
	"time"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
)

const (
	magic = "tether's pins\r\n\x00" // 16 bytes
	// version changes with the layout, and with the meaning of any part of it.
	version = 2

	entrySize = 32
	// maxUpstreams and maxName bound what is read. An upstream's name has at most 128 bytes and the number of its rank.
	maxUpstreams = upstream.MaxUpstreams
	maxName      = 256
)

// unit is the unit of ages.
const unit = 100 * time.Millisecond

// Maps are what a snapshot has: two maps, and what was learned of openings.
type Maps struct {
	Sessions, Responses *pins.Map
	Openings            *openings.Table
}

func (m *Maps) all() [2]*pins.Map { return [...]*pins.Map{m.Sessions, m.Responses} }

// Check returns the value that tells snapshots of one fleet from those of others: keys made under another secret mean nothing here.
func Check(id *identity.Identifier) identity.Key {
	return id.Key([]byte("snapshot"), []byte("check"))
}

// member is an upstream in a snapshot.
type member struct {
	name    string
	address uint64 // a hash
	mark    uint32 // what load.Backlog had charged when the snapshot was saved
}

func memberOf(u *upstream.Upstream) member {
	a := u.Address()
	return member{u.Name(), xxh3.HashString(a.Network + "\x00" + a.Dial + "\x00" + a.Prefix), u.Mark()}
}

// header is what stands before the maps.
type header struct {
	check   identity.Key
	savedAt time.Time
	members []member
}

func (h *header) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint64(b, h.check.Hi)
	b = binary.LittleEndian.AppendUint64(b, h.check.Lo)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.savedAt.UnixMilli()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(h.members)))
	for _, m := range h.members {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m.name)))
		b = append(b, m.name...)
		b = binary.LittleEndian.AppendUint64(b, m.address)
		b = binary.LittleEndian.AppendUint32(b, m.mark)
	}
	return b
}

// onProbation is the flag of a pin on probation.
const onProbation = 1

// appendEntry appends a pin to the upstream with that index.
func appendEntry(b []byte, p *pins.Saved, index int) []byte {
	var flags uint16
	if p.Probation {
		flags |= onProbation
	}
	b = binary.LittleEndian.AppendUint64(b, p.Key.Hi)
	b = binary.LittleEndian.AppendUint64(b, p.Key.Lo)
	b = binary.LittleEndian.AppendUint32(b, uint32(min(p.Age/unit, 1<<32-1)))
	b = binary.LittleEndian.AppendUint16(b, uint16(index))
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Turn.Prompt))
	return binary.LittleEndian.AppendUint32(b, p.Turn.Mark)
}

// entry reads a pin; its Ref is still that of no upstream. b has entrySize bytes.
func entry(b []byte) (p pins.Saved, index int) {
	p.Key = identity.Key{Hi: binary.LittleEndian.Uint64(b), Lo: binary.LittleEndian.Uint64(b[8:])}
	p.Age = time.Duration(binary.LittleEndian.Uint32(b[16:])) * unit
	p.Probation = binary.LittleEndian.Uint16(b[22:])&onProbation != 0
	p.Turn = pins.Turn{Prompt: int64(binary.LittleEndian.Uint32(b[24:])), Mark: binary.LittleEndian.Uint32(b[28:])}
	return p, int(binary.LittleEndian.Uint16(b[20:]))
}
