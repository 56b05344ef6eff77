package sim

import (
	"context"
	"sync"
)

// bell wakes all that wait for the next change. Its zero value is ready.
type bell struct {
	mu sync.Mutex
	ch chan struct{} // guarded by mu; nil while none waits
}

// wait returns a channel that the next ring closes.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// await returns when the condition holds, or with ctx's error. It checks the condition at every ring, and never polls.
func (b *bell) await(ctx context.Context, condition func() bool) error {
	for {
		changed := b.wait()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
