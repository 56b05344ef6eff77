package shared

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tether/session/identity"
)

func fullReport() *Report {
	return &Report{From: 1 << 63, Seq: 300, At: 1_700_000_000_000, Loads: []Load{
		{Upstream: UpstreamID("vllm-0"), Tokens: 12_345, Requests: 7}, {Upstream: UpstreamID("vllm-1")},
	}}
}

func TestReportsAreReadAsWritten(t *testing.T) {
	for _, r := range []*Report{{From: 9}, fullReport()} {
		var got Report
		if err := got.Read(r.Append(nil, testCheck), testCheck); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, &got); diff != "" {
			t.Error(diff)
		}
	}
}

// The longest report is one that can be read. What exceeds the limits is left out.
func TestLongestReport(t *testing.T) {
	r := &Report{From: 1 << 63, Seq: 1 << 63, At: 1 << 61}
	for n := range MaxLoads + 3 {
		r.Loads = append(r.Loads, Load{Upstream: ^uint64(n), Tokens: 1 << 60, Requests: -1})
	}
	var got Report
	if err := got.Read(r.Append(nil, testCheck), testCheck); err != nil || len(got.Loads) != MaxLoads {
		t.Fatalf("%d loads, %v", len(got.Loads), err)
	}
	if l := got.Loads[0]; l.Tokens != maxFigure || l.Requests != 0 {
		t.Errorf("%+v", l)
	}
}

func TestForeignReports(t *testing.T) {
	text := fullReport().Append(nil, testCheck)
	var r Report
	if err := r.Read(text, identity.Key{Hi: 9}); !errors.Is(err, ErrSecret) {
		t.Errorf("another secret: %v", err)
	}
	for n := range text {
		changed := bytes.Clone(text)
		changed[n]++
		if err := r.Read(changed, testCheck); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a changed byte %d: %v", n, err)
		}
		if err := r.Read(text[:n], testCheck); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	if err := r.Read(make([]byte, MaxReport+1), testCheck); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := r.Read(fullBatch().Append(nil, testCheck), testCheck); !errors.Is(err, ErrDamaged) {
		t.Errorf("a batch: %v", err)
	}
}

// No text makes Read panic or take memory without bound, even one whose sum is right.
func FuzzReadReport(f *testing.F) {
	f.Add(fullReport().Append(nil, testCheck))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := (&Report{}).Append(nil, testCheck)
		whole = append(whole[:len(whole)-8], text...)
		var r Report
		if err := r.Read(append(whole, xxh3Sum(whole)...), testCheck); err != nil {
			return
		}
		if len(r.Loads) > MaxLoads {
			t.Error("too much")
		}
		for _, l := range r.Loads {
			if l.Tokens < 0 || l.Tokens > maxFigure || l.Requests < 0 || l.Requests > maxFigure {
				t.Errorf("%+v", l)
			}
		}
	})
}
