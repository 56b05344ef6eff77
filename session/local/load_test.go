package local

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tether/session/shared"
	"tether/upstream/load"
)

// What others tell is noted at the upstreams that they name, and not told again as this process's own.
func TestTellLoad(t *testing.T) {
	table := newMaps(t, "a").Upstreams.Table()
	now := time.Now()
	first := &table.Members[0]
	c := load.Charge{Work: 5000, Streams: true, Rate: 1000}
	first.Charge(&c, now)
	first.Begin()
	others := map[uint64]shared.Load{
		shared.UpstreamID("a@0"): {Tokens: 300, Requests: 2}, shared.UpstreamID("a@1"): {Requests: 1}, shared.UpstreamID("unknown"): {Tokens: 1},
	}
	want := []shared.Load{{Upstream: shared.UpstreamID("a@0"), Tokens: 5000, Requests: 1}}
	if diff := cmp.Diff(want, TellLoad(table, others, nil, now)); diff != "" {
		t.Error(diff)
	}
	if got := first.Others(now); got != (load.Share{Tokens: 300, Requests: 2}) {
		t.Errorf("%+v", got)
	}
	c.Settle(now)
	first.End()
	if diff := cmp.Diff([]shared.Load(nil), TellLoad(table, nil, nil, now)); diff != "" {
		t.Error(diff)
	}
	if got := table.Members[1].Others(now); got != (load.Share{}) {
		t.Errorf("once the others tell nothing: %+v", got)
	}
}
