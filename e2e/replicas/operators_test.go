package replicas

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/session/store/storetest"
)

// found is where a look-up says that a session is.
type found struct {
	Upstream string `json:"upstream"`
	Home     bool   `json:"home"`
}

// lookUp asks a replica where the session of a header is. The first one of the answer is that, before the hashed form of the id.
func (f *fleet) lookUp(p *binary.Tether, id string) found {
	f.t.Helper()
	var answer struct{ Sessions []found }
	if err := json.Unmarshal(f.ask(p, "GET", "/api/sessions/"+id+"?model=tiny"), &answer); err != nil || len(answer.Sessions) == 0 {
		f.t.Fatalf("%+v, %v", answer, err)
	}
	return answer.Sessions[0]
}

// drains reports whether a replica says that an upstream drains.
func (f *fleet) drains(p *binary.Tether, name string) bool {
	f.t.Helper()
	var answer struct {
		Upstreams []struct{ Name, State string }
	}
	if err := json.Unmarshal(f.ask(p, "GET", "/api/upstreams"), &answer); err != nil {
		f.t.Fatal(err)
	}
	for _, u := range answer.Upstreams {
		if u.Name == name {
			return strings.Contains(u.State, "drain")
		}
	}
	f.t.Fatalf("no upstream %s", name)
	return false
}

// until returns how long it takes until all replicas hold a condition.
func (f *fleet) until(what string, holds func(p *binary.Tether) bool) time.Duration {
	f.t.Helper()
	began := time.Now()
	for _, p := range f.tethers {
		for !holds(p) {
			if time.Since(began) > patience {
				f.t.Fatalf("not at all replicas: %s", what)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return time.Since(began)
}

// What an operator does at any replica holds at all of them, and so does what a look-up says: half of the times within 200 ms, which leaves the
// slow half to a machine that does other things.
func TestOperatorsAtAnyReplica(t *testing.T) {
	f := newFleet(t, "redis://"+storetest.Start(t, storetest.Programs(t)[0]).Addr, "")
	f.round()
	took := map[string][]time.Duration{}
	for n := range 30 {
		one, at := f.talks[n], f.tethers[n%replicas]
		home := f.lookUp(at, one.id)
		to := f.inUse[(slices.Index(f.inUse, home.Upstream)+1+n%3)%len(f.inUse)]
		f.ask(at, "POST", "/api/sessions/"+one.id+"/move?to="+to+"&model=tiny")
		took["move"] = append(took["move"], f.until("a move", func(p *binary.Tether) bool { return f.lookUp(p, one.id) == found{to, false} }))
		for _, p := range f.tethers {
			if server := f.turn(one, p); server != to {
				t.Errorf("%s was moved to %s, and served by %s", one.id, to, server)
			}
		}
		f.ask(f.tethers[(n+1)%replicas], "DELETE", "/api/sessions/"+one.id+"?model=tiny")
		took["forget"] = append(took["forget"], f.until("a forgotten session", func(p *binary.Tether) bool { return f.lookUp(p, one.id).Home }))
		name := f.inUse[n%len(f.inUse)]
		f.ask(at, "POST", "/api/upstreams/"+name+"/drain")
		took["drain"] = append(took["drain"], f.until("a drain", func(p *binary.Tether) bool { return f.drains(p, name) }))
		f.ask(at, "POST", "/api/upstreams/"+name+"/undrain")
		took["undrain"] = append(took["undrain"], f.until("the end of a drain", func(p *binary.Tether) bool { return !f.drains(p, name) }))
		f.servers[n%len(f.inUse)].Kill()
		f.awaitState(name, 0)
		moved := f.talks[30+n]
		server := f.turn(moved, at) // it may have been at the server that died
		took["look-up of a turn"] = append(took["look-up of a turn"], f.until("a look-up", func(p *binary.Tether) bool { return f.lookUp(p, moved.id).Upstream == server }))
		if err := f.servers[n%len(f.inUse)].Restart(); err != nil {
			t.Fatal(err)
		}
		f.awaitState(name, 1)
	}
	for what, all := range took {
		slices.Sort(all)
		t.Logf("%-18s holds at all replicas after %v, in half of the cases %v", what, all[len(all)-1], all[len(all)/2])
		if all[len(all)/2] > settling {
			t.Errorf("%s: %v", what, all)
		}
	}
}
