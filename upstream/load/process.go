package load

import "sync"

// Processes numbers the processes that were seen behind a server's URL: a new process has an empty cache. The zero value is of a server of
// which nothing is known yet. It must not be copied.
type Processes struct {
	mu     sync.Mutex
	number uint32  // all below are guarded by mu
	began  float64 // when the process says that it began, in seconds by its own clock; 0 if it has not said
	doubt  bool    // the server was down and is back, and has not said since when it began
}

// CameBack notes that the server is up after it was down: most likely another process answers now, unless it says that it is the same.
func (p *Processes) CameBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt {
		p.number++
	}
	p.doubt = true
}

// SaidBegan notes when the process that answers began, 0 if it does not say.
func (p *Processes) SaidBegan(began float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if began == 0 {
		return
	}
	if isOther := began != p.began; isOther && (p.began != 0 || p.doubt) {
		p.number++
	}
	p.began, p.doubt = began, false
}

// Process returns the number of the process behind the server's URL, as far as is known: the number changes once another process answers.
// The server says it on its page of metrics, a second or so after its start. Until then, and if the server does not say it, a server that
// comes back after it was down counts as another process; one that was down by timeouts alone does not.
func (p *Processes) Process() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt {
		return p.number + 1
	}
	return p.number
}
