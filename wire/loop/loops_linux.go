package loop

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// Loops are the event loops of the process. Each client belongs to one of them.
type Loops struct {
	all  []backend
	next atomic.Uint32
}

// backend is an event loop: one thread that gets the events of its sockets from the kernel, and calls their drivers.
type backend interface {
	// adopt makes a Socket of a descriptor, which it closes if it fails. hungUp is called on the loop's thread when the peer has left; nil
	// for none.
	adopt(fd int, local, remote net.Addr, hungUp func()) (*Socket, error)
	// run handles events until ctx ends.
	run(ctx context.Context) error
	// close frees what the loop holds.
	close()
}

// backends are how the loops of an engine are made.
var backends = map[string]func() (backend, error){EngineUring: newRingLoop, EngineEpoll: newLoop}

// New makes n event loops of an engine. Run makes them work.
func New(engine string, n int) (*Loops, error) {
	ls := &Loops{}
	for range n {
		l, err := backends[engine]()
		if err != nil {
			ls.Close()
			return nil, err
		}
		ls.all = append(ls.all, l)
	}
	return ls, nil
}

// Len is the number of loops.
func (ls *Loops) Len() int { return len(ls.all) }

// Close gives up loops that have not run. Run closes them itself.
func (ls *Loops) Close() {
	for _, l := range ls.all {
		l.close()
	}
}

// Run drives connections until ctx ends, each loop on a goroutine of its own, the first one on the caller's. The caller has closed all
// connections before that, as no loop tells their drivers afterwards. While the loops run, Go's scheduler has one processor more for
// each.
func (ls *Loops) Run(ctx context.Context) error {
	addProcessors(len(ls.all))
	defer addProcessors(-len(ls.all))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	errs := make([]error, len(ls.all))
	for i, l := range ls.all[1:] {
		running.Go(func() { errs[i+1] = runOr(ctx, cancel, l) })
	}
	errs[0] = runOr(ctx, cancel, ls.all[0])
	running.Wait()
	ls.Close()
	return errors.Join(errs...)
}

// runOr runs l, and ends the other loops if this one ends.
func runOr(ctx context.Context, cancel func(), l backend) error {
	defer cancel()
	return l.run(ctx)
}

// nextLoop is the loop whose turn it is.
func (ls *Loops) nextLoop() backend { return ls.all[ls.next.Add(1)%uint32(len(ls.all))] }
