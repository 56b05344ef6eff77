package load

import (
	"sync/atomic"
	"time"
)

// Unknown stands for a figure of an EngineLoad that the server does not tell.
const Unknown = -1

// EngineLoad is what a server says of the engine of an upstream, at one moment.
type EngineLoad struct {
	// Running and Waiting are requests in the engine: those that it computes, and those in its queue. They are 0 and more, or Unknown.
	Running, Waiting int64
	// KVUsage is the part of the KV cache that requests of now hold, 0..1, or Unknown.
	KVUsage float64
	// KVCapacity is the size of the KV cache in tokens, 1 and more, or Unknown.
	KVCapacity int64
	// KVBlock is the size of a block of the KV cache in tokens, 0 if the server does not tell it.
	KVBlock int64
	// Began is when the server's process began, in Unix seconds by its own clock, 0 if the server does not tell it.
	Began float64
	// At is when the server said so.
	At time.Time
}

// Engine is the last EngineLoad of an upstream. The zero value is of an upstream whose server never said anything. It must not be copied.
type Engine struct {
	said     atomic.Pointer[EngineLoad] // nil before the first report
	capacity atomic.Int64               // the last KVCapacity that was known, 0 before it
	block    atomic.Int64               // the last KVBlock that was known, 0 before it
}

// EngineLoadFor is how long an EngineLoad counts. The servers are asked every second, so an older one means that several answers failed.
const EngineLoadFor = 5 * time.Second

// SaidLoad notes what the server said.
func (e *Engine) SaidLoad(l EngineLoad) {
	e.said.Store(&l)
	if l.KVCapacity > 0 {
		e.capacity.Store(l.KVCapacity)
	}
	if l.KVBlock > 0 {
		e.block.Store(l.KVBlock)
	}
}

// EngineLoad is what the server said last, if that was at most a few seconds before now.
func (e *Engine) EngineLoad(now time.Time) (l EngineLoad, known bool) {
	said := e.said.Load()
	if said == nil || now.Sub(said.At) > EngineLoadFor {
		return EngineLoad{Running: Unknown, Waiting: Unknown, KVUsage: Unknown, KVCapacity: Unknown}, false
	}
	return *said, true
}

// KVCapacity is the size of the KV cache in tokens, 0 while it is unknown. It does not become old: a cache keeps its size as long as its
// process runs, and a new process tells its own.
func (e *Engine) KVCapacity() int64 { return e.capacity.Load() }

// KVBlock is the size of a block of the KV cache in tokens, 0 while it is unknown. It does not become old.
func (e *Engine) KVBlock() int64 { return e.block.Load() }
