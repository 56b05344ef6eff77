//go:build linux

package fleet

import (
	"os"
	"sync"
)

// Gate copies what a process writes into a file, and can stop reading. A read that has begun when the gate is held ends first.
type Gate struct {
	w    *os.File // for the process
	r    *os.File
	file *os.File
	held sync.Mutex // locked while the gate is held
}

func newGate(path string) (*Gate, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	g := &Gate{file: file}
	if g.r, g.w, err = os.Pipe(); err != nil {
		_ = file.Close()
		return nil, err
	}
	go g.copy()
	return g, nil
}

// copy runs until the process has ended.
func (g *Gate) copy() {
	defer g.file.Close()
	defer g.r.Close()
	buf := make([]byte, 64<<10)
	for {
		g.awaitRelease()
		n, err := g.r.Read(buf)
		if err != nil {
			return
		}
		_, _ = g.file.Write(buf[:n]) // the file is for people
	}
}

func (g *Gate) awaitRelease() {
	g.held.Lock()
	defer g.held.Unlock()
}

func (g *Gate) hold()    { g.held.Lock() }
func (g *Gate) release() { g.held.Unlock() }
