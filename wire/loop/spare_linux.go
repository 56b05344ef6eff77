package loop

// spareBuffers are buffers that a loop sends from, by size. Only a few are in use at a time: those of sends that are under way.
type spareBuffers struct{ bySize [len(spareSizes)][][]byte }

// spareSizes are the sizes of buffers that are kept: an event, an ordinary request or answer, a read of a loop with a head before it.
var spareSizes = [...]int{512, 4 << 10, readSize + 1<<10}

// extend appends p to a buffer of take, and returns the buffer, or a larger one if p does not fit. A nil buffer has no room.
func (b *spareBuffers) extend(buf, p []byte) []byte {
	if need := len(buf) + len(p); need > cap(buf) {
		larger := append(b.take(need), buf...)
		if buf != nil {
			b.give(buf)
		}
		buf = larger
	}
	return append(buf, p...)
}

// maxSpare bounds the spare buffers of each size.
const maxSpare = 64

// take returns an empty buffer for n bytes.
func (b *spareBuffers) take(n int) []byte {
	for i, size := range spareSizes {
		if n > size {
			continue
		}
		if all := b.bySize[i]; len(all) > 0 {
			last := all[len(all)-1]
			b.bySize[i] = all[:len(all)-1]
			return last
		}
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n)
}

// give keeps a buffer that is not used any more, if it has one of the sizes.
func (b *spareBuffers) give(p []byte) {
	for i, size := range spareSizes {
		if cap(p) == size && len(b.bySize[i]) < maxSpare {
			b.bySize[i] = append(b.bySize[i], p[:0])
		}
	}
}
