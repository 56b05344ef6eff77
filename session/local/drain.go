package local

import (
	"time"

	"tether/session/shared"
	"tether/upstream"
)

// CarryOut makes the upstream that a command names drain or not, or all upstreams of the server that it names. It returns them, none if
// the table does not have the name.
func CarryOut(table *upstream.Table, d *shared.Drain, now time.Time) (all []*upstream.Member) {
	for i := range table.Members {
		if m := &table.Members[i]; m.Name() == d.Name || m.Server.Name() == d.Name {
			all = append(all, m)
		}
	}
	for _, m := range all {
		m.MoveNone()
		if d.Move == shared.MoveIdle {
			m.MoveIdle(d.Idle, now.Add(d.Left))
		}
	}
	if server := table.ServerNamed(d.Name); server != nil {
		drainOrNot(server, d.Move)
	} else if len(all) > 0 {
		drainOrNot(all[0], d.Move)
	}
	return all
}

// drainable is an upstream, or a server with all of its upstreams.
type drainable interface {
	Drain(hard bool)
	Undrain()
}

func drainOrNot(d drainable, m shared.Move) {
	if m == shared.Undrained {
		d.Undrain()
		return
	}
	d.Drain(m == shared.MoveNow)
}
