package shared

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zeebo/xxh3"

	"tether/session/identity"
)

var testCheck = identity.Key{Hi: 7, Lo: 8}

func fullBatch() *Batch {
	b := &Batch{From: 1, Seq: 300, Gap: true}
	b.Beat = &Beat{Version: "v1.2", Admin: "10.0.0.1:8081", Started: 1_700_000_000_000, Ring: 1 << 63, Applied: 1500 * time.Millisecond}
	b.Drains = []Drain{{Name: "vllm-1", Move: MoveIdle, Idle: time.Minute, Left: time.Hour, Age: time.Second}, {Name: "vllm-2"}}
	for n := range MaxSightings {
		b.Sightings = append(b.Sightings, Sighting{
			Subject: Subject{Key: identity.Key{Hi: uint64(n), Lo: 1 << 60}, Response: n%2 == 0}, At: strings.Repeat("x", n), Age: time.Duration(n) * time.Second,
		})
	}
	return b
}

func TestBatchesAreReadAsWritten(t *testing.T) {
	for _, b := range []*Batch{{From: 9}, fullBatch()} {
		var got Batch
		if err := got.Read(b.Append(nil, testCheck), testCheck); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, &got); diff != "" {
			t.Error(diff)
		}
	}
}

// The longest batch is one that can be read.
func TestLongestBatch(t *testing.T) {
	b := &Batch{From: 1 << 63, Seq: 1 << 63, Beat: &Beat{Version: strings.Repeat("v", 1000), Admin: strings.Repeat("a", 1000), Started: 1 << 61, Applied: maxAge}}
	for range MaxSightings {
		b.Sightings = append(b.Sightings, Sighting{At: strings.Repeat("n", 1000), Age: maxAge * 2})
	}
	for range maxDrains {
		b.Drains = append(b.Drains, Drain{Name: strings.Repeat("n", 1000), Idle: maxAge, Left: maxAge, Age: maxAge})
	}
	var got Batch
	if err := got.Read(b.Append(nil, testCheck), testCheck); err != nil || len(got.Sightings[0].At) != maxText {
		t.Error(err)
	}
}

func TestForeignBatches(t *testing.T) {
	text := fullBatch().Append(nil, testCheck)
	var b Batch
	if err := b.Read(text, identity.Key{Hi: 9}); !errors.Is(err, ErrSecret) {
		t.Errorf("another secret: %v", err)
	}
	for n := range text {
		changed := bytes.Clone(text)
		changed[n]++
		if err := b.Read(changed, testCheck); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a changed byte %d: %v", n, err)
		}
		if err := b.Read(text[:n], testCheck); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	if err := b.Read(make([]byte, MaxBatch+1), testCheck); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// No text makes Read panic or take memory without bound, even one whose sum is right.
func FuzzRead(f *testing.F) {
	f.Add(fullBatch().Append(nil, testCheck))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := (&Batch{}).Append(nil, testCheck)
		whole = append(whole[:len(whole)-8], text...)
		sum := xxh3Sum(whole)
		var b Batch
		if err := b.Read(append(whole, sum...), testCheck); err == nil && (len(b.Sightings) > MaxSightings || len(b.Drains) > maxDrains) {
			t.Error("too much")
		}
	})
}

func xxh3Sum(text []byte) []byte { return binary.LittleEndian.AppendUint64(nil, xxh3.Hash(text)) }
