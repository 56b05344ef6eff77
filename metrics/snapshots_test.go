package metrics

import (
	"strings"
	"testing"
	"time"
)

func TestSnapshotWritten(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	at := time.Unix(1_700_000_000, 0)
	m.SnapshotWritten(true, at)
	m.SnapshotWritten(false, at.Add(time.Hour))
	text := scrape(t, m)
	for _, want := range []string{
		`tether_session_snapshots_total{result="ok"} 1`, `tether_session_snapshots_total{result="failed"} 1`,
		"tether_session_snapshot_last_success_timestamp_seconds 1.7e+09",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
