package admin

import (
	"net/http/httptest"
	"testing"
	"time"

	"tether/session/shared"
	"tether/session/store"
)

func TestReplicas(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	if r := o.ask("GET", "/api/replicas"); r.body != `{"store":"off","last_entry":null,"subjects":0,"under_way":0,"dropped":0,"load_from":0,"replicas":[]}`+"\n" {
		t.Error(r.body)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	report := func(time.Time) store.Report {
		return store.Report{
			State: store.State{Trouble: "it hangs", Deaf: "it forbids", Foreign: true}, LastEntry: at, Ledger: shared.Stats{Subjects: 5, UnderWay: 2}, Dropped: 1, Tellers: 3,
			Peers: []store.Peer{{Self: true, Alive: true, Version: "v1", Admin: "a:1", Started: at, Heard: at, Ring: 10, Applied: 1500 * time.Millisecond}},
		}
	}
	want := `{"store":"trouble","trouble":"it hangs","last_entry":"2026-01-02T03:04:05Z","subjects":5,"under_way":2,"dropped":1,"load_from":3,"load_trouble":"it forbids",` +
		`"warning":"the ring digests differ: the tethers have different upstreams, and place sessions differently",` +
		`"replicas":[{"self":true,"alive":true,"version":"v1","admin":"a:1","started":"2026-01-02T03:04:05Z","last_beat":"2026-01-02T03:04:05Z","ring_digest":"000000000000000a","applied_seconds":1.5}]}` + "\n"
	answer := httptest.NewRecorder()
	showReplicas(report)(answer, httptest.NewRequest("GET", "/api/replicas", nil))
	if answer.Code != 200 || answer.Body.String() != want {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
