package loop

import "runtime"

// The engines, which serve clients. See OpenEngine.
const (
	EngineAuto  = "auto"  // the best that the kernel allows
	EngineEpoll = "epoll" // event loops over epoll
	EngineGo    = "go"    // a goroutine for each connection
)

// Engines are the names of all engines.
var Engines = []string{EngineAuto, EngineEpoll, EngineGo}

// OpenEngine makes the loops of an engine, with n loops, or DefaultLoops for 0. If the kernel does not allow the engine, it takes
// EngineGo, whose Loops are nil, and why says what the kernel does not allow.
func OpenEngine(want string, n int) (ls *Loops, engine string, why error) {
	if want == EngineGo {
		return nil, EngineGo, nil
	}
	if n == 0 {
		n = DefaultLoops()
	}
	ls, err := New(n)
	if err != nil {
		return nil, EngineGo, err
	}
	return ls, EngineEpoll, nil
}

// DefaultLoops is one for each two processors that Go may use, which the quota of the cgroup limits. One loop costs less than two,
// and fills a core at about 70,000 requests or 90,000 parts of streams a second.
func DefaultLoops() int { return max(1, runtime.GOMAXPROCS(0)/2) }
