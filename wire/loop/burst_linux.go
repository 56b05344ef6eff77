package loop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// burst sends to many sockets by one system call (io_submit of Linux's asynchronous I/O; the sockets do not block, so that it sends at
// once). The kernel gives the processor to a thread that a send wakes when the system call ends: after the last send instead of
// after each. The zero burst sends nothing.
type burst struct {
	context unsafe.Pointer // of the kernel, nil if it allows none
	calls   [maxPushed]aioCall
	order   [maxPushed]*aioCall
	results [maxPushed]aioResult
	sockets [maxPushed]*driven // of calls; locked
	n       int                // calls so far
}

// aioCall is the kernel's struct iocb.
type aioCall struct {
	index  uint64 // in burst.calls
	_      [2]uint32
	opcode uint16
	_      int16
	fd     uint32
	data   uint64 // address
	size   uint64
	_      [3]uint64 // offset and flags: a socket has none
}

// aioWrite is the kernel's IOCB_CMD_PWRITE.
const aioWrite = 1

// aioResult is the kernel's struct io_event.
type aioResult struct {
	index  uint64 // in burst.calls
	_      uint64
	result int64 // bytes, or an error number below zero
	_      int64
}

// sent is the number of bytes that the kernel has taken, or the error of a connection that is gone.
func (r *aioResult) sent() (n int, err error) {
	switch no := unix.Errno(-r.result); {
	case r.result >= 0:
		return int(r.result), nil
	case no == unix.EAGAIN || no == unix.EINTR:
		return 0, nil
	default:
		return 0, callError("write", no)
	}
}

// open makes b ready. If the kernel allows no asynchronous I/O, b sends nothing.
func (b *burst) open() {
	_, _, errno := unix.RawSyscall(unix.SYS_IO_SETUP, maxPushed, uintptr(unsafe.Pointer(&b.context)), 0)
	if errno != 0 {
		b.context = nil
	}
}

func (b *burst) close() {
	if b.context != nil {
		_, _, _ = unix.RawSyscall(unix.SYS_IO_DESTROY, uintptr(b.context), 0, 0) // fails only for no context
		b.context = nil
	}
}

// add takes in what s is to send, or reports false if the kernel allows no asynchronous I/O, or if s is closed. s stays locked until send.
// If there are as many calls as fit, they are sent first.
func (b *burst) add(s *driven) bool {
	if b.context == nil {
		return false
	}
	if b.n == len(b.calls) {
		b.send()
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	c := &b.calls[b.n]
	*c = aioCall{index: uint64(b.n), opcode: aioWrite, fd: uint32(s.fd), size: uint64(len(s.unsent))}
	c.data = uint64(uintptr(unsafe.Pointer(&s.unsent[0])))
	b.order[b.n], b.sockets[b.n] = c, s
	b.n++
	return true
}

// send sends for the sockets that were added.
func (b *burst) send() {
	if b.n == 0 {
		return
	}
	synchronizeSend()
	n, _, errno := unix.RawSyscall(unix.SYS_IO_SUBMIT, uintptr(b.context), uintptr(b.n), uintptr(unsafe.Pointer(&b.order[0])))
	if errno != 0 {
		n = 0
	}
	for _, s := range b.sockets[:b.n] {
		s.mu.Unlock()
	}
	for _, r := range b.done(int(n)) {
		b.sockets[r.index].sentSome(r.sent())
	}
	for _, s := range b.sockets[n:b.n] { // which the kernel has not looked at
		s.sendPushed()
	}
	clear(b.sockets[:b.n])
	b.n = 0
}

// done are the results of the n calls that were submitted.
func (b *burst) done(n int) []aioResult {
	got := 0
	for got < n {
		k, _, errno := unix.RawSyscall6(unix.SYS_IO_GETEVENTS, uintptr(b.context), uintptr(n-got), uintptr(n-got), uintptr(unsafe.Pointer(&b.results[got])), 0, 0)
		if errno != 0 && errno != unix.EINTR {
			panic("BUG: results of a burst: " + errno.Error())
		}
		if errno == 0 {
			got += int(k)
		}
	}
	return b.results[:n]
}
