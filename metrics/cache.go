package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// cache keeps what a vector gave for labels, for looking it up there costs more than counting. Readers take no lock.
type cache[K comparable, V any] struct {
	kept atomic.Pointer[map[K]V]
	mu   sync.Mutex // over writers
}

func (c *cache[K, V]) find(k K) (v V, ok bool) {
	if kept := c.kept.Load(); kept != nil {
		v, ok = (*kept)[k]
	}
	return v, ok
}

// get gives what is kept for k, or makes it.
func (c *cache[K, V]) get(k K, create func() V) V {
	if v, ok := c.find(k); ok {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.find(k); ok {
		return v
	}
	v := create()
	c.change(func(m map[K]V) { m[k] = v })
	return v
}

// drop forgets what is kept where gone says so.
func (c *cache[K, V]) drop(gone func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.change(func(m map[K]V) { maps.DeleteFunc(m, func(k K, _ V) bool { return gone(k) }) })
}

// change stores a changed copy; the caller holds mu.
func (c *cache[K, V]) change(f func(map[K]V)) {
	next := map[K]V{}
	if kept := c.kept.Load(); kept != nil {
		next = maps.Clone(*kept)
	}
	f(next)
	c.kept.Store(&next)
}
