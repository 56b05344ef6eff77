package fault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Fault is a fault that is injected into a server, which applies it without being asked by a request.
type Fault struct {
	Kind Kind `json:"kind"`
	// Arg is the argument of the kind, as in "slow=ARG". Empty: the default of the kind.
	Arg string `json:"arg,omitempty"`
	// Path is the decoded path of the requests that the fault applies to. A "*" at its end matches every path with that prefix.
	// Empty: every path but those of monitoring (/health, /ping, /load, /metrics, /version, /v1/models, /is_sleeping). HangHealth and
	// Unhealthy apply to /health and /ping whatever Path says.
	Path string `json:"path,omitempty"`
	// Times is the number of requests that the fault applies to, counted from the next one. 0: all, until the faults are
	// cleared.
	Times int `json:"times,omitempty"`
}

// Set holds the faults that are injected into a server. Its methods may be called from any goroutine.
type Set struct {
	mu      sync.Mutex
	armed   []*armed      // guarded by mu
	cleared chan struct{} // guarded by mu; closed by the next Clear
}

// armed is an injected fault and the number of requests that it still applies to.
type armed struct {
	Fault
	active Active
	left   int // negative: no limit
}

// NewSet makes a set without faults.
func NewSet() *Set {
	return &Set{cleared: make(chan struct{})}
}

// Inject adds a fault to the set. An unknown kind or a wrong argument is an error.
func (s *Set) Inject(f Fault) error {
	active, err := resolve(f.Kind, f.Arg)
	if err != nil {
		return err
	}
	if f.Times < 0 {
		return fmt.Errorf("fault %s: times %d, want 0 or more", f.Kind, f.Times)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, &armed{f, active, cmp.Or(f.Times, -1)})
	return nil
}

// Clear empties the set, and closes Cleared of every fault that Take has returned.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = nil
	close(s.cleared)
	s.cleared = make(chan struct{})
}

// List returns the faults that still apply to requests, with the number of requests left in Times.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := make([]Fault, 0, len(s.armed))
	for _, a := range s.armed {
		f := a.Fault
		f.Times = max(a.left, 0)
		faults = append(faults, f)
	}
	return faults
}

// Take returns the faults that apply to a request: those of its header X-Sim-Fault, then the injected ones. It counts the
// request for the latter. An error is that of the header, and then no fault applies.
func (s *Set) Take(path, header string) ([]Active, error) {
	var faults []Active
	if header != "" {
		var err error
		if faults, err = parse(header); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.armed {
		if a.appliesTo(path) {
			faults = append(faults, a.active)
			a.left-- // stays negative where there is no limit
		}
	}
	s.armed = slices.DeleteFunc(s.armed, func(a *armed) bool { return a.left == 0 })
	faults = slices.DeleteFunc(faults, func(f Active) bool { return f.Kind.isHealthOnly() && !isHealth(path) })
	for i := range faults {
		faults[i].Cleared = s.cleared
	}
	return faults, nil
}

func (a *armed) appliesTo(path string) bool {
	prefix, open := strings.CutSuffix(a.Path, "*")
	switch {
	case a.Kind.isHealthOnly():
		return isHealth(path)
	case a.Path == "":
		return !isMonitoring(path)
	case open:
		return strings.HasPrefix(path, prefix)
	}
	return path == a.Path
}

func (k Kind) isHealthOnly() bool { return k == HangHealth || k == Unhealthy }

func isHealth(path string) bool {
	return path == "/health" || path == "/ping"
}

func isMonitoring(path string) bool {
	return isHealth(path) || slices.Contains([]string{"/load", "/metrics", "/metrics/", "/version", "/v1/models", "/is_sleeping"}, path)
}
