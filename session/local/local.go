// Package local has the maps and the upstreams of a process follow what several processes know together, carries out the commands of
// operators, whichever process they were given to, and collects what this process tells the others of its load.
package local

import (
	"time"

	"tether/session/pins"
	"tether/session/shared"
	"tether/upstream"
)

// Maps are the maps of a process. It implements shared.Local.
type Maps struct {
	Sessions, Responses *pins.Map
	Upstreams           *upstream.Registry
}

func (m Maps) of(s shared.Subject) *pins.Map {
	if s.Response {
		return m.Responses
	}
	return m.Sessions
}

// Look implements shared.Local.
func (m Maps) Look(s shared.Subject) (at string, idle time.Duration, ok bool) {
	ref, idle, ok := pins.Look(m.of(s), s.Key, time.Now())
	if !ok {
		return "", 0, false
	}
	table := m.Upstreams.Table()
	if i := table.Index(ref); i >= 0 {
		return table.Members[i].Name(), idle, true
	}
	return "", 0, false
}

// Place implements shared.Local.
func (m Maps) Place(s *shared.Sighting) {
	now := time.Now()
	if s.At == "" {
		m.of(s.Subject).Delete(s.Key, now)
		return
	}
	if to := m.Upstreams.Table().Named(s.At); to != nil {
		pins.Follow(m.of(s.Subject), s.Key, to.Ref(), s.Age, now)
	}
}

// Drain implements shared.Local.
func (m Maps) Drain(d *shared.Drain) { CarryOut(m.Upstreams.Table(), d, time.Now()) }
