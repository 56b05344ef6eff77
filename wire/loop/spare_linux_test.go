package loop

import (
	"bytes"
	"testing"
)

func TestSpareBuffers(t *testing.T) {
	var b spareBuffers
	for _, n := range []int{0, 1, 512, 513, 4 << 10, readSize, readSize + 1<<10, 1 << 20} {
		p := b.take(n)
		if len(p) != 0 || cap(p) < n {
			t.Errorf("for %d bytes: %d of %d", n, len(p), cap(p))
		}
		p = append(p, make([]byte, n)...)
		b.give(p)
		again := b.take(n)
		if kept := n <= readSize+1<<10; len(again) != 0 || (&again[:1][0] == &p[:1][0]) != kept {
			t.Errorf("for %d bytes again: %d, want the same one %v", n, len(again), kept)
		}
		b.give(again)
	}
	b.give(make([]byte, 10, 600)) // of no size that is kept
	if p := b.take(513); cap(p) != 4<<10 {
		t.Errorf("%d bytes", cap(p))
	}
	for range 2 * maxSpare {
		b.give(make([]byte, 0, spareSizes[0]))
	}
	if n := len(b.bySize[0]); n != maxSpare {
		t.Errorf("%d spare buffers, want %d", n, maxSpare)
	}
}

// What is appended piece by piece is whole, and needs no new memory once there are spare buffers.
func TestExtend(t *testing.T) {
	var b spareBuffers
	whole := bytes.Repeat([]byte("0123456789abcdef"), readSize/16)
	write := func() []byte {
		var buf []byte
		for _, n := range []int{100, 300, 200, 2000, 5000, readSize - 7600} {
			buf = b.extend(buf, whole[len(buf):len(buf)+n])
		}
		return buf
	}
	if got := write(); !bytes.Equal(got, whole) {
		t.Error("the bytes differ")
	}
	b.give(write())
	if n := testing.AllocsPerRun(100, func() { b.give(write()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
