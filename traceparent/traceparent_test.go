package traceparent

import (
	"encoding/hex"
	"strings"
	"testing"
)

const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestBegin(t *testing.T) {
	all, none := &Source{Share: 1}, &Source{}
	for _, want := range []struct {
		field            string
		all, none, child bool
	}{
		{valid, true, true, true},
		{"00" + valid[2:53] + "03", true, true, true}, // other flags are for later
		{"cc" + valid[2:] + "-what-comes-later", true, true, true},
		{"cc" + valid[2:], true, true, true},
		{valid[:53] + "00", false, false, false}, // the client does not sample
		{valid + "-more", true, false, false},
		{"cc" + valid[2:] + ".more", true, false, false},
		{"ff" + valid[2:], true, false, false},
		{strings.ToUpper(valid), true, false, false},
		{"00-" + strings.Repeat("0", 32) + valid[35:], true, false, false},
		{valid[:36] + strings.Repeat("0", 16) + valid[52:], true, false, false},
		{valid[:54], true, false, false},
		{"", true, false, false},
		{strings.Repeat("-", 55), true, false, false},
	} {
		field := want.field
		for source, want := range map[*Source]bool{all: want.all, none: want.none, nil: false} {
			if got := source.Begin([]byte(field)); got.Sampled != want || !want && got != (Span{}) {
				t.Errorf("%q: %+v, want a span %v", field, got, want)
			}
		}
		if span := all.Begin([]byte(field)); (span.Parent != [8]byte{}) != want.child {
			t.Errorf("%q: parent %x", field, span.Parent)
		} else if want.child && hex.EncodeToString(span.Trace[:]) != valid[3:35] {
			t.Errorf("%q: trace %x", field, span.Trace)
		}
	}
}

// Ids are never zero, and those of a request and its attempts differ.
func TestIDs(t *testing.T) {
	s := &Source{Share: 1}
	seen := map[[8]byte]bool{}
	for range 1000 {
		span := s.Begin(nil)
		if span.Trace == [16]byte{} || span.ID == [8]byte{} {
			t.Fatalf("%+v", span)
		}
		for _, id := range [][8]byte{span.ID, span.Attempt(0), span.Attempt(1), span.Attempt(15)} {
			if seen[id] {
				t.Fatalf("%x twice", id)
			}
			seen[id] = true
		}
	}
}

// About the share of the requests without a parent is sampled.
func TestShare(t *testing.T) {
	s, n := &Source{Share: 0.25}, 0
	for range 10_000 {
		if s.Begin(nil).Sampled {
			n++
		}
	}
	if n < 2_200 || n > 2_800 {
		t.Errorf("%d of 10000 sampled, want about 2500", n)
	}
}

// What is sent to a server is valid, and leads to the attempt.
func TestAppend(t *testing.T) {
	span := (&Source{}).Begin([]byte(valid))
	text := span.Append(nil, 2)
	var read Span
	if sampled, ok := read.read(text); !ok || !sampled || read.Trace != span.Trace || read.Parent != span.Attempt(2) || len(text) != size {
		t.Errorf("%s of %+v", text, span)
	}
}

func FuzzBegin(f *testing.F) {
	f.Add([]byte(valid))
	f.Fuzz(func(t *testing.T, field []byte) {
		s := (&Source{Share: 1}).Begin(field)
		if s.Sampled && s.Trace == [16]byte{} || !s.Sampled && s != (Span{}) {
			t.Errorf("%q: %+v", field, s)
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	var none *Source
	for name, s := range map[string]*Source{"off": none, "root": {Share: 1}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = s.Begin(nil)
			}
		})
	}
}
