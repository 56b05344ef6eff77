package sim

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// An idle server ends as vLLM does. It ends at once when the end is hasty, or when all requests are to be cut.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    Config
		hasty  bool
		needed bool
	}{
		{"as vLLM", Config{RefuseAfter: -1}, false, false},
		{"hasty", Config{RefuseAfter: time.Hour}, true, false},
		{"needed", Config{RefuseAfter: time.Hour, DecodePerToken: time.Hour}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			graceful, want := context.WithCancel(t.Context())
			immediate, need := context.WithCancel(t.Context())
			said := make(chan string, 9)
			ended := make(chan error, 1)
			listen := "unix:" + filepath.Join(t.TempDir(), "s")
			delayed := func() bool { return !c.hasty }
			go func() {
				ended <- Run(graceful, immediate, delayed, c.cfg, listen, func(format string, _ ...any) { said <- format })
			}()
			if line := <-said; line != "simulated vLLM %s on %s, models %v" {
				t.Errorf("said %q", line)
			}
			want()
			<-said
			if c.needed {
				need()
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			need()
		})
	}
}

func TestRunErrors(t *testing.T) {
	if err := Run(t.Context(), t.Context(), nil, Config{}, "unix:/no/such/place", t.Logf); err == nil {
		t.Error("no error from an impossible address")
	}
	if err := Run(t.Context(), t.Context(), nil, Config{MaxSeqs: -1}, "unix:/no/such/place", t.Logf); err == nil || err.Error() != "MaxSeqs: -1, want 1 or more" {
		t.Errorf("error %v", err)
	}
}
