package loop

import (
	"fmt"
	"runtime"
)

// The engines, which serve clients. See OpenEngine.
const (
	EngineAuto  = "auto"  // the best that the kernel allows
	EngineUring = "uring" // event loops over io_uring
	EngineEpoll = "epoll" // event loops over epoll
	EngineGo    = "go"    // a goroutine for each connection
)

// Engines are the names of all engines.
var Engines = []string{EngineAuto, EngineUring, EngineEpoll, EngineGo}

// OpenEngine makes the loops of an engine, with n loops, or defaultLoops for 0. If the kernel does not allow the engine, the next one
// takes over: uring, epoll, go. The Loops of EngineGo are nil. why says what the kernel does not allow, nil if it allows the engine.
func OpenEngine(want string, n int) (ls *Loops, engine string, why error) {
	if n == 0 {
		n = defaultLoops()
	}
	for _, engine := range withLoops[want] {
		ls, err := New(engine, n)
		switch {
		case err == nil:
			return ls, engine, why
		case why == nil:
			why = fmt.Errorf("%s: %w", engine, err)
		default:
			why = fmt.Errorf("%w; %s: %w", why, engine, err)
		}
	}
	return nil, EngineGo, why
}

// withLoops are the engines with loops that stand for an engine, the best one first.
var withLoops = map[string][]string{
	EngineAuto:  {EngineEpoll},
	EngineUring: {EngineUring, EngineEpoll},
	EngineEpoll: {EngineEpoll},
}

// defaultLoops is one for each two processors that Go may use, which the quota of the cgroup limits. One loop costs less than two,
// and fills a core at about 70,000 requests or 90,000 parts of streams a second.
func defaultLoops() int { return max(1, runtime.GOMAXPROCS(0)/2) }
