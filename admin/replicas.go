package admin

import (
	"fmt"
	"net/http"
	"time"

	"tether/session/store"
)

// replicasView is what the tethers of a store know of each other, as the API shows it.
type replicasView struct {
	// Store is off, ok, or in trouble; Trouble says why.
	Store   string `json:"store"`
	Trouble string `json:"trouble,omitempty"`
	// LastEntry is when the last entry of the stream was applied, nil for never.
	LastEntry *time.Time `json:"last_entry"`
	// Subjects is how many sessions and stored responses are known that are not at home, UnderWay how many changes of this tether are not
	// back from the store yet, Dropped how many had no room.
	Subjects int    `json:"subjects"`
	UnderWay int    `json:"under_way"`
	Dropped  uint64 `json:"dropped"`
	// LoadFrom is how many other tethers tell how busy they keep servers. LoadTrouble says why none can, "" if they can.
	LoadFrom    int    `json:"load_from"`
	LoadTrouble string `json:"load_trouble,omitempty"`
	// Warning says what is wrong with the replicas, "" for nothing.
	Warning  string        `json:"warning,omitempty"`
	Replicas []replicaView `json:"replicas"`
}

// replicaView is a tether as the API shows it.
type replicaView struct {
	Self       bool      `json:"self,omitempty"`
	Alive      bool      `json:"alive"`
	Version    string    `json:"version"`
	Admin      string    `json:"admin,omitempty"`
	Started    time.Time `json:"started"`
	LastBeat   time.Time `json:"last_beat"`
	RingDigest string    `json:"ring_digest"`
	// AppliedSeconds is the age of the last entry that the tether had applied when it sent the beat.
	AppliedSeconds float64 `json:"applied_seconds"`
}

// showReplicas shows the tethers of a store; report is nil without a store.
func showReplicas(report func(time.Time) store.Report) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if report == nil {
			writeJSON(w, 200, replicasView{Store: "off", Replicas: []replicaView{}})
			return
		}
		writeJSON(w, 200, viewReplicas(report(time.Now())))
	}
}

func viewReplicas(r store.Report) replicasView {
	v := replicasView{Store: "ok", Subjects: r.Ledger.Subjects, UnderWay: r.Ledger.UnderWay, Dropped: r.Dropped, LoadFrom: r.Tellers, LoadTrouble: string(r.Deaf), Replicas: []replicaView{}}
	if r.Trouble != "" {
		v.Store, v.Trouble = "trouble", string(r.Trouble)
	}
	if r.Foreign {
		v.Warning = "the ring digests differ: the tethers have different upstreams, and place sessions differently"
	}
	if !r.LastEntry.IsZero() {
		v.LastEntry = &r.LastEntry
	}
	for _, p := range r.Peers {
		v.Replicas = append(v.Replicas, replicaView{
			Self: p.Self, Alive: p.Alive, Version: p.Version, Admin: p.Admin, Started: p.Started, LastBeat: p.Heard,
			RingDigest: fmt.Sprintf("%016x", p.Ring), AppliedSeconds: p.Applied.Seconds(),
		})
	}
	return v
}
