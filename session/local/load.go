package local

import (
	"time"

	"tether/session/shared"
	"tether/upstream"
	"tether/upstream/load"
)

// TellLoad has the upstreams of a table follow what other processes tell of their load, and appends what this process has put on each upstream
// at now to own.
func TellLoad(table *upstream.Table, others map[uint64]shared.Load, own []shared.Load, now time.Time) []shared.Load {
	for i := range table.Members {
		m := &table.Members[i]
		id := shared.UpstreamID(m.Name())
		o := others[id]
		m.SetElsewhere(load.Share{Tokens: o.Tokens, Requests: o.Requests}, now)
		if s, _ := m.OwnShare(now); s != (load.Share{}) {
			own = append(own, shared.Load{Upstream: id, Tokens: s.Tokens, Requests: s.Requests})
		}
	}
	return own
}
