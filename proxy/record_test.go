package proxy

import (
	"strings"
	"testing"
)

// The record of a request holds its own data, though the body's memory was given back before.
func TestRecordIsOfItsOwnRequest(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, []string{streaming(t, release)})
	const requests = 32
	for n := range requests {
		r.post(strings.Repeat("my password is hunter2 ", 200+n))
	}
	close(release)
	for n := range requests {
		if rec := r.recorded(n + 1); string(rec.Model) != "tiny" {
			t.Fatalf("a record's model is %q", rec.Model)
		}
	}
}
