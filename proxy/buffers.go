package proxy

import (
	"sync"

	"tether/http1"
)

// The sizes of the buffers of a connection, in bytes.
const (
	// clientBuffer bounds one read from a client for a head, and so the bytes that may be left over after the head.
	clientBuffer = 16 << 10

	// answerBuffer bounds one read from an upstream, and so the head of its answer.
	answerBuffer = 16 << 10

	// The buffers of a request's body grow from the first one, each as many times as large as the one before, up to the largest.
	firstBodyBuffer  = 16 << 10
	bodyBufferGrowth = 4
	maxBodyBuffer    = 1 << 20
)

var (
	clientBuffers = sync.Pool{New: func() any { b := make([]byte, clientBuffer); return &b }}
	guards        = sync.Pool{New: func() any { return &http1.Guard{Lines: make([]http1.Line, 0, 32)} }} // few requests have more fields
	answerBuffers = sync.Pool{New: func() any { b := make([]byte, answerBuffer); return &b }}

	// bodyBuffers has a pool for each size: 16 KiB, 64 KiB, 256 KiB, 1 MiB. Larger buffers are left to the garbage collector.
	bodyBuffers [4]sync.Pool
)

// headText holds a copy of a head.
type headText []byte

// keep makes h lie in t.
func (t *headText) keep(h *head) {
	b := append(append(append((*t)[:0], h.method...), h.target...), h.fields...)
	m, n := len(h.method), len(h.method)+len(h.target)
	h.method, h.target, h.fields = b[:m:m], b[m:n:n], b[n:]
	*t = b
}

func takeBodyBuffer(size int) *[]byte {
	if pool := bodyBuffersOf(size); pool != nil {
		if buf, ok := pool.Get().(*[]byte); ok {
			return buf
		}
	}
	buf := make([]byte, size)
	return &buf
}

func freeBodyBuffer(buf *[]byte) {
	if buf == nil {
		return
	}
	if pool := bodyBuffersOf(len(*buf)); pool != nil {
		pool.Put(buf)
	}
}

// bodyBuffersOf returns the pool of buffers of a size, or nil for a size that is not pooled.
func bodyBuffersOf(size int) *sync.Pool {
	pooled := firstBodyBuffer
	for class := range bodyBuffers {
		if size == pooled {
			return &bodyBuffers[class]
		}
		pooled *= bodyBufferGrowth
	}
	return nil
}
