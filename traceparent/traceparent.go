// Package traceparent reads and writes the header field traceparent of W3C Trace Context, and draws the ids of spans. It knows neither
// requests nor exporters: package proxy begins a span for each request, and package tracing exports it.
package traceparent

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// Span is the span of one request. Each attempt at an upstream is a child of it. The zero value is not recorded.
type Span struct {
	// Trace is the id of the trace, and ID that of the span.
	Trace [16]byte
	ID    [8]byte
	// Parent is the client's span, zero if the client sent none.
	Parent [8]byte
	// Sampled is true if the span is recorded. All other fields are zero if it is not.
	Sampled bool
}

// Source begins spans. A nil Source begins none.
type Source struct {
	// Share is the part of the requests without a traceparent that is recorded, 0..1. A request with one is recorded if it says so.
	Share float64
}

// Begin begins the span of a request whose traceparent is field, nil for none. An invalid field counts as none, as the standard says.
func (s *Source) Begin(field []byte) (span Span) {
	if s == nil {
		return Span{}
	}
	if sampled, ok := span.read(field); ok {
		if !sampled {
			return Span{}
		}
	} else {
		if s.Share < 1 && rand.Float64() >= s.Share {
			return Span{}
		}
		binary.BigEndian.PutUint64(span.Trace[:8], rand.Uint64())
		binary.BigEndian.PutUint64(span.Trace[8:], rand.Uint64()|1) // a trace of zeros is invalid
	}
	// The lowest byte numbers the attempts.
	binary.BigEndian.PutUint64(span.ID[:], rand.Uint64()|1<<8&^0xff)
	span.ID[7] = 0
	span.Sampled = true
	return span
}

// Attempt returns the id of the span of the n-th attempt, from 0 on. Up to 255 attempts have ids of their own.
func (s *Span) Attempt(n int) (id [8]byte) {
	id = s.ID
	id[7] = byte(1 + n)
	return id
}

// size is the length of a traceparent of version 00: "00-", the trace, "-", the parent, "-", the flags.
const size = 2 + 1 + 32 + 1 + 16 + 1 + 2

// read reads trace and parent of a traceparent. Later versions may have more fields behind.
func (s *Span) read(field []byte) (sampled, ok bool) {
	if len(field) < size || len(field) > size && (string(field[:2]) == "00" || field[size] != '-') {
		return false, false
	}
	if field[2] != '-' || field[35] != '-' || field[52] != '-' || string(field[:2]) == "ff" || !isLowerHex(field[:2]) {
		return false, false
	}
	var flags [1]byte
	if !decode(s.Trace[:], field[3:35]) || !decode(s.Parent[:], field[36:52]) || !decode(flags[:], field[53:55]) ||
		s.Trace == [16]byte{} || s.Parent == [8]byte{} {
		*s = Span{}
		return false, false
	}
	return flags[0]&1 == 1, true
}

// decode decodes lower-case hex digits, as the standard wants them.
func decode(to, digits []byte) bool {
	if !isLowerHex(digits) {
		return false
	}
	_, err := hex.Decode(to, digits)
	return err == nil
}

func isLowerHex(digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Append appends the traceparent of the n-th attempt.
func (s *Span) Append(dst []byte, n int) []byte {
	id := s.Attempt(n)
	dst = hex.AppendEncode(append(dst, "00-"...), s.Trace[:])
	return append(hex.AppendEncode(append(dst, '-'), id[:]), "-01"...)
}
