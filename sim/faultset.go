package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// faultSet holds the faults that a server applies by itself.
type faultSet struct {
	mu      sync.Mutex
	armed   []*armedFault // guarded by mu
	cleared chan struct{} // guarded by mu; closed by the next clear
}

// armedFault is an injected fault and how many requests it still means.
type armedFault struct {
	Fault
	fault fault
	left  int // -1: no limit
}

func newFaultSet() *faultSet {
	return &faultSet{cleared: make(chan struct{})}
}

// Inject makes the server apply a fault from now on, beside those injected before. An unknown kind or a wrong argument
// is an error.
func (s *Server) Inject(f Fault) error {
	resolved, err := resolve(f.Kind, f.Arg)
	if err != nil {
		return err
	}
	if f.Times < 0 {
		return fmt.Errorf("fault %s: times %d, want 0 or more", f.Kind, f.Times)
	}
	left := f.Times
	if left == 0 {
		left = -1
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.armed = append(s.faults.armed, &armedFault{f, resolved, left})
	return nil
}

// ClearFaults takes all injected faults away, and releases the requests that a fault holds, those of the header included.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.armed = nil
	close(s.faults.cleared)
	s.faults.cleared = make(chan struct{})
}

// Faults lists the injected faults that still mean a request, with the number of requests left in Times.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	faults := make([]Fault, 0, len(s.faults.armed))
	for _, a := range s.faults.armed {
		f := a.Fault
		f.Times = max(a.left, 0)
		faults = append(faults, f)
	}
	return faults
}

// take gives the faults that mean this request: injected ones, which it uses up, and those of its header.
func (fs *faultSet) take(path, header string) ([]fault, error) {
	var faults []fault
	if header != "" {
		var err error
		if faults, err = parseFaults(header); err != nil {
			return nil, err
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, a := range fs.armed {
		if a.means(path) {
			faults = append(faults, a.fault)
			a.left-- // below -1 means no limit as well
		}
	}
	fs.armed = slices.DeleteFunc(fs.armed, func(a *armedFault) bool { return a.left == 0 })
	for i := range faults {
		faults[i].cleared = fs.cleared
	}
	return faults, nil
}

func (a *armedFault) means(path string) bool {
	prefix, open := strings.CutSuffix(a.Path, "*")
	switch {
	case a.Kind == FaultHangHealth || a.Kind == FaultUnhealthy:
		return isHealth(path)
	case a.Path == "":
		return !isMonitoring(path)
	case open:
		return strings.HasPrefix(path, prefix)
	}
	return path == a.Path
}

func isHealth(path string) bool {
	return path == "/health" || path == "/ping"
}

func isMonitoring(path string) bool {
	return isHealth(path) || slices.Contains([]string{"/load", "/metrics", "/version", "/v1/models"}, path)
}
