package loop

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// Loops are the event loops of the process. Each client belongs to one of them.
type Loops struct {
	all  []*loop
	next atomic.Uint32
}

// New makes n event loops. Run makes them work.
func New(n int) (*Loops, error) {
	ls := &Loops{}
	for range n {
		l, err := newLoop()
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

// Run drives connections until ctx ends, each loop on a thread of its own, the first one on the caller's. The caller has closed all
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
		running.Go(func() { errs[i+1] = l.runOr(ctx, cancel) })
	}
	errs[0] = ls.all[0].runOr(ctx, cancel)
	running.Wait()
	ls.Close()
	return errors.Join(errs...)
}

// runOr is run, and ends the other loops if this one ends.
func (l *loop) runOr(ctx context.Context, cancel func()) error {
	defer cancel()
	return l.run(ctx)
}

// nextLoop is the loop whose turn it is.
func (ls *Loops) nextLoop() *loop { return ls.all[ls.next.Add(1)%uint32(len(ls.all))] }

// processors is held while the number of Go's processors changes.
var processors sync.Mutex

func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}
