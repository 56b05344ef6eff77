package shared

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/zeebo/xxh3"

	"tether/session/identity"
)

// Version is the version of the text of a batch. Processes ignore batches of other versions.
const Version = "1"

// Limits of a batch.
const (
	// MaxSightings is how many sightings a batch may have.
	MaxSightings = 128
	maxDrains    = 64
	maxText      = 256 // of a name, a version or an address
	maxAge       = 31 * 24 * time.Hour
	// MaxBatch is the length of the longest batch in bytes.
	MaxBatch = 32 + (MaxSightings+maxDrains+4)*(maxText+64)
)

// Kinds of records.
const (
	recordSession  = 's'
	recordResponse = 'r'
	recordDrain    = 'd'
	recordBeat     = 'b'
	recordGap      = 'g'
)

var (
	// ErrDamaged says that a text is no batch of this version.
	ErrDamaged = errors.New("is damaged, or not written by tether")
	// ErrSecret says that a batch was written under another session secret.
	ErrSecret = errors.New("was written under another session secret")
)

// Append appends the text of a batch. check tells the session secret, as package snapshot does.
func (b *Batch) Append(to []byte, check identity.Key) []byte {
	start := len(to)
	to = binary.LittleEndian.AppendUint64(to, check.Hi)
	to = binary.LittleEndian.AppendUint64(to, b.From)
	to = binary.AppendUvarint(to, b.Seq)
	if b.Gap {
		to = append(to, recordGap)
	}
	if b.Beat != nil {
		to = b.Beat.append(to)
	}
	for i := range b.Drains {
		to = b.Drains[i].append(to)
	}
	for i := range b.Sightings {
		to = b.Sightings[i].append(to)
	}
	return binary.LittleEndian.AppendUint64(to, xxh3.Hash(to[start:]))
}

func (s *Sighting) append(to []byte) []byte {
	kind := byte(recordSession)
	if s.Response {
		kind = recordResponse
	}
	to = append(to, kind)
	to = binary.LittleEndian.AppendUint64(to, s.Key.Hi)
	to = binary.LittleEndian.AppendUint64(to, s.Key.Lo)
	return appendText(appendTime(to, s.Age), s.At)
}

func (d *Drain) append(to []byte) []byte {
	to = appendText(append(to, recordDrain, byte(d.Move)), d.Name)
	return appendTime(appendTime(appendTime(to, d.Idle), d.Left), d.Age)
}

func (b *Beat) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint64(append(to, recordBeat), b.Ring)
	to = binary.AppendUvarint(to, uint64(max(0, b.Started)))
	return appendText(appendText(appendTime(to, b.Applied), b.Version), b.Admin)
}

func appendTime(to []byte, d time.Duration) []byte {
	return binary.AppendUvarint(to, uint64(min(max(0, d), maxAge).Milliseconds()))
}

func appendText(to []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// Read reads the text of a batch. Its error is ErrDamaged or ErrSecret.
func (b *Batch) Read(text []byte, check identity.Key) error {
	const head, tail = 16, 8
	if len(text) < head+1+tail || len(text) > MaxBatch {
		return ErrDamaged
	}
	body := text[:len(text)-tail]
	if binary.LittleEndian.Uint64(text[len(body):]) != xxh3.Hash(body) {
		return ErrDamaged
	}
	if binary.LittleEndian.Uint64(body) != check.Hi {
		return ErrSecret
	}
	*b = Batch{From: binary.LittleEndian.Uint64(body[8:]), Sightings: b.Sightings[:0], Drains: b.Drains[:0]}
	r := reader{text: body[head:]}
	b.Seq = r.number()
	for len(r.text) > 0 && !r.damaged {
		b.readRecord(&r)
	}
	if r.damaged || len(b.Sightings) > MaxSightings || len(b.Drains) > maxDrains {
		return ErrDamaged
	}
	return nil
}

func (b *Batch) readRecord(r *reader) {
	switch kind := r.byte(); kind {
	case recordSession, recordResponse:
		s := Sighting{Subject: Subject{Key: identity.Key{Hi: r.uint64(), Lo: r.uint64()}, Response: kind == recordResponse}}
		s.Age, s.At = r.time(), r.textOf()
		b.Sightings = append(b.Sightings, s)
	case recordDrain:
		d := Drain{Move: Move(r.byte()), Name: r.textOf()}
		d.Idle, d.Left, d.Age = r.time(), r.time(), r.time()
		r.damaged = r.damaged || d.Move >= moves
		b.Drains = append(b.Drains, d)
	case recordBeat:
		beat := Beat{Ring: r.uint64(), Started: int64(r.number() & (1<<62 - 1))}
		beat.Applied, beat.Version, beat.Admin = r.time(), r.textOf(), r.textOf()
		b.Beat = &beat
	case recordGap:
		b.Gap = true
	default:
		r.damaged = true
	}
}

// reader reads parts of a text. After damage it reads zeros.
type reader struct {
	text    []byte
	damaged bool
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.text) {
		r.damaged = true
	}
	if r.damaged {
		return nil
	}
	b := r.text[:n]
	r.text = r.text[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.text)
	if size <= 0 {
		r.damaged = true
		return 0
	}
	r.text = r.text[size:]
	return n
}

func (r *reader) time() time.Duration {
	n := r.number()
	if n > uint64(maxAge.Milliseconds()) {
		r.damaged = true
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func (r *reader) textOf() string {
	n := r.number()
	if n > maxText {
		r.damaged = true
		return ""
	}
	return string(r.bytes(int(n)))
}
