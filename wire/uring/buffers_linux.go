package uring

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBuffers are the buffers of a group, which the kernel receives into. It takes the first one of their ring once bytes are there: a socket
// that waits has none. Memory that no byte was received into is not resident.
type receiveBuffers struct {
	memory []byte // mapped: the ring and the data
	ring   []buffer
	size   int
	tail   uint16
	data   []byte
}

// giveBuffers makes the buffers of a group, and gives them to the kernel.
func (r *Ring) giveBuffers(group uint16, c Buffers) error {
	head := c.Number * int(unsafe.Sizeof(buffer{}))
	head += -head & (os.Getpagesize() - 1)
	memory, err := unix.Mmap(-1, 0, head+c.Number*c.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map receive buffers: %w", err)
	}
	r.buffers = append(r.buffers, receiveBuffers{
		memory: memory, ring: unsafe.Slice((*buffer)(unsafe.Pointer(&memory[0])), c.Number), size: c.Size, data: memory[head:],
	})
	registration := bufferRegistration{address: uint64(uintptr(unsafe.Pointer(&memory[0]))), entries: uint32(c.Number), group: group}
	_, _, no := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerBufferRing, uintptr(unsafe.Pointer(&registration)), 1, 0, 0)
	if no != 0 {
		return fmt.Errorf("register receive buffers of io_uring: %w%s", no, reason(no))
	}
	for i := range c.Number {
		r.buffers[group].add(uint16(i))
	}
	return nil
}

func (b *receiveBuffers) add(number uint16) {
	place := &b.ring[b.tail&uint16(len(b.ring)-1)]
	data := b.data[int(number)*b.size:]
	// Not the whole of it: the first place shares its memory with the tail of the ring.
	place.address, place.length, place.number = uint64(uintptr(unsafe.Pointer(&data[0]))), uint32(b.size), number
	b.tail++
	// No atomic store is as short as the tail, which has a word with the number of the first buffer.
	var word [4]byte
	binary.NativeEndian.PutUint16(word[:], b.ring[0].number)
	binary.NativeEndian.PutUint16(word[2:], b.tail)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.ring[0].number)), binary.NativeEndian.Uint32(word[:]))
}

// Received is what an operation has received into a buffer of a group, nil for nothing. It is valid until Reuse.
func (r *Ring) Received(c *Completion, group int) []byte {
	if c.Result <= 0 || c.flags&completionBuffer == 0 {
		return nil
	}
	b := &r.buffers[group]
	from := int(c.flags>>bufferShift) * b.size
	return b.data[from : from+int(c.Result) : from+int(c.Result)]
}

// Reuse gives the buffer of a completion, of a group, back to the kernel, if there is one.
func (r *Ring) Reuse(c *Completion, group int) {
	if c.flags&completionBuffer != 0 {
		r.buffers[group].add(uint16(c.flags >> bufferShift))
	}
}
