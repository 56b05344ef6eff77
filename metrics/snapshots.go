package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// snapshots counts snapshots of the pins.
type snapshots struct {
	written reloads
	last    prometheus.Gauge
}

func (s *snapshots) init() []prometheus.Collector {
	s.written, s.last = newReloads(snapshotsTotal), gauge(snapshotLast)
	return []prometheus.Collector{s.written.total, s.last}
}

// SnapshotWritten counts a snapshot. ok is false if it could not be written.
func (m *Metrics) SnapshotWritten(ok bool, now time.Time) {
	m.snapshots.written.count(ok)
	if ok {
		m.snapshots.last.Set(float64(now.UnixMilli()) / 1000)
	}
}
