package metrics

import (
	"strings"
	"testing"
	"time"

	"tether/session/shared"
	"tether/session/store"
)

// The metrics of a store are those of its report. Without a store there are none.
func TestStoreMetrics(t *testing.T) {
	m := New("v1", fleet(t, "vllm-0"))
	if text := scrape(t, m); strings.Contains(text, "tether_store_") {
		t.Error("metrics of no store")
	}
	r := store.Report{
		Counts: store.Counts{Sent: 1, Received: 2, Damaged: 3, OtherVersion: 4, OtherSecret: 5, Reports: 9, ReportsIgnored: 10}, Ledger: shared.Stats{Subjects: 6, UnderWay: 7}, Dropped: 8, Tellers: 11,
		Peers: []store.Peer{{Alive: true}, {}},
	}
	WatchStore(m, func(time.Time) store.Report { return r })
	text := scrape(t, m)
	for _, want := range []string{
		"tether_store_up 1", "tether_store_last_entry_age_seconds -1", "tether_store_replicas 1", "tether_store_subjects 6", "tether_store_under_way 7",
		"tether_store_changes_dropped_total 8", "tether_store_sent_total 1", "tether_store_entries_total 2", `tether_store_entries_ignored_total{reason="damaged"} 3`,
		`tether_store_entries_ignored_total{reason="version"} 4`, `tether_store_entries_ignored_total{reason="secret"} 5`,
		"tether_store_load_replicas 11", "tether_store_load_reports_total 9", "tether_store_load_reports_ignored_total 10",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	r.Trouble, r.LastEntry = "it hangs", time.Now().Add(-time.Minute)
	if text := scrape(t, m); !strings.Contains(text, "tether_store_up 0\n") || !strings.Contains(text, "tether_store_last_entry_age_seconds 60") {
		t.Error(text)
	}
}
