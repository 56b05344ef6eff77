package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// next is the next submission, cleared. The caller has seen to it that there is Room.
func (r *Ring) next(opcode uint8, fd int, user uint64) *entry {
	e := &r.entries[r.queued&uint32(len(r.entries)-1)]
	r.queued++
	*e = entry{opcode: opcode, fd: int32(fd), user: user}
	return e
}

// Receive receives once, into one of the buffers of a group. The kernel does not try before the socket is readable.
func (r *Ring) Receive(fd, group int, user uint64) { receive(r, fd, group, 0, user) }

// ReceiveEach receives each time that the socket is readable, until a completion without More. The kernel fills up to 32 buffers of the group
// in a row. A reset that is there together with bytes may go unseen: Linux 6.18 receives the bytes, and waits for the next change of the socket.
// Poll sees it.
func (r *Ring) ReceiveEach(fd, group int, user uint64) {
	receive(r, fd, group, recvMultishot, user)
}

func receive(r *Ring, fd, group int, how uint16, user uint64) {
	e := r.next(opRecv, fd, user)
	e.flags, e.group, e.priority = entryBufferSelect, uint16(group), recvPollFirst|how
}

// Send sends what the kernel takes of b, once it takes anything. b must not lie on a stack, must be kept unchanged until the completion, and must
// not be empty. With MSG_WAITALL the kernel would send all of it, but would not tell an error after the first part.
func (r *Ring) Send(fd int, b []byte, user uint64) { send(r, fd, b, user) }

func send(r *Ring, fd int, b []byte, user uint64) *entry {
	e := r.next(opSend, fd, user)
	e.address = uint64(uintptr(unsafe.Pointer(&b[0])))
	e.length = uint32(len(b))
	e.opFlags = unix.MSG_NOSIGNAL
	return e
}

// SendNow sends what the kernel takes of b at once, which it does before Enter waits. It completes only if that is not all: Result is the number of bytes
// that were sent, or the error, which is unix.EAGAIN if the kernel takes nothing now. Once Enter has started it, a send without a completion has
// sent all. The rules of Send for b apply.
func (r *Ring) SendNow(fd int, b []byte, user uint64) {
	e := send(r, fd, b, user)
	e.flags = entrySkipSuccess
	e.opFlags |= unix.MSG_DONTWAIT | unix.MSG_WAITALL // a part is no success
}

// Poll completes once one of the events, as of poll(2), is there.
func (r *Ring) Poll(fd int, events uint32, user uint64) { r.next(opPollAdd, fd, user).opFlags = events }

// PollEach completes for each of the events, until a completion without More.
func (r *Ring) PollEach(fd int, events uint32, user uint64) {
	e := r.next(opPollAdd, fd, user)
	e.opFlags, e.length = events, pollMulti
}

// Cancel ends an operation by its user. That operation completes, with ECANCELED unless it had ended before.
func (r *Ring) Cancel(of, user uint64) { r.next(opAsyncCancel, -1, user).address = of }
