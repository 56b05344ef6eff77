package uring

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is an io_uring with a ring of receive buffers. Open and Close may be called on any thread. All else belongs to the one thread that
// calls Enable.
type Ring struct {
	fd int

	shared, shownEntries []byte // mapped: the queues, the submissions

	entries        []entry
	queued         uint32 // the next place for a submission
	sqHead, sqTail *uint32
	completions    []Completion
	seen           uint32 // the completions before this one were handled
	cqHead, cqTail *uint32

	buffers []receiveBuffers

	// They are given to the kernel by address, so they must not lie on a stack.
	argument waitArgument
	limit    unix.Timespec
}

// Config is the size of a Ring. All numbers of things are powers of two.
type Config struct {
	Entries     int       // submissions between two calls of Enter
	Completions int       // beyond them, the kernel keeps completions in memory of its own
	Buffers     []Buffers // to receive into; an operation says which of these by the index
}

// Buffers are buffers of one size.
type Buffers struct{ Number, Size int }

// Open makes a ring, which is of use after Enable.
func Open(c Config) (*Ring, error) {
	p := params{cqEntries: uint32(c.Completions), flags: setupCQSize | setupDisabled | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun}
	fd, _, no := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(c.Entries), uintptr(unsafe.Pointer(&p)), 0)
	if no != 0 {
		return nil, fmt.Errorf("set io_uring up: %w%s", no, reason(no))
	}
	r := &Ring{fd: int(fd)}
	err := r.prepare(&p, c)
	if err == nil {
		err = r.mayEnter()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// mayEnter finds out whether a filter of system calls forbids the one that a ring works with. Otherwise the kernel says that the ring is not enabled
// yet.
func (r *Ring) mayEnter() error {
	if _, _, no := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 0, 0, 0, 0); no != unix.EBADFD {
		return fmt.Errorf("enter io_uring: %w%s", no, reason(no))
	}
	return nil
}

// reason explains why the kernel refuses a ring.
func reason(no unix.Errno) string {
	switch no {
	case unix.ENOSYS:
		return " (the kernel has none)"
	case unix.EINVAL:
		return " (Linux 6.1 or newer is needed)"
	case unix.ENOMEM:
		return " (too little memory that the process may lock)"
	case unix.EPERM, unix.EACCES:
		if b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); err == nil && len(b) > 0 && b[0] != '0' {
			return " (kernel.io_uring_disabled is " + string(b[:1]) + ")"
		}
		return " (a filter of system calls, such as that of a container, forbids it)"
	}
	return ""
}

// prepare maps the queues of a new ring, and gives it buffers.
func (r *Ring) prepare(p *params, c Config) (err error) {
	if need := uint32(featSingleMmap | featNoDrop | featExtArg); p.features&need != need {
		return errors.New("set io_uring up: the kernel lacks features of Linux 6.1")
	}
	size := max(p.sq.array+4*p.sqEntries, p.cq.dropped+uint32(unsafe.Sizeof(Completion{}))*p.cqEntries)
	if r.shared, err = unix.Mmap(r.fd, offRings, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("map the queues of io_uring: %w", err)
	}
	r.shownEntries, err = unix.Mmap(r.fd, offEntries, int(unsafe.Sizeof(entry{}))*int(p.sqEntries), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("map the submissions of io_uring: %w", err)
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[offset])) }
	r.sqHead, r.sqTail, r.cqHead, r.cqTail = word(p.sq.head), word(p.sq.tail), word(p.cq.head), word(p.cq.tail)
	r.entries = unsafe.Slice((*entry)(unsafe.Pointer(&r.shownEntries[0])), p.sqEntries)
	r.completions = unsafe.Slice((*Completion)(unsafe.Pointer(&r.shared[p.cq.dropped])), p.cqEntries)
	order := unsafe.Slice(word(p.sq.array), p.sqEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	for group, b := range c.Buffers {
		if err := r.giveBuffers(uint16(group), b); err != nil {
			return err
		}
	}
	return nil
}

// Enable makes the calling thread the one that the ring belongs to. The caller has locked its goroutine to it.
func (r *Ring) Enable() error {
	if _, _, no := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerEnableRings, 0, 0, 0, 0); no != 0 {
		return fmt.Errorf("enable io_uring: %w", no)
	}
	return nil
}

// Close ends the ring. The caller has waited for all its operations, as the kernel may use their memory until then.
func (r *Ring) Close() {
	_ = unix.Close(r.fd)
	mapped := [][]byte{r.shared, r.shownEntries}
	for _, b := range r.buffers {
		mapped = append(mapped, b.memory)
	}
	for _, m := range mapped {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}

// Room is how many operations fit into the queue of submissions before Enter must be called. It is Config.Entries once all are started.
func (r *Ring) Room() int { return len(r.entries) - int(r.queued-atomic.LoadUint32(r.sqHead)) }

// Wait is how Enter waits.
type Wait struct {
	// Limit bounds the wait; below 0 nothing does, and with 0 Enter does not wait.
	Limit time.Duration
	// Told tells Go's scheduler of the wait, so that another thread may get this one's processor meanwhile.
	Told bool
}

// Enter starts the operations that are queued, and waits for a completion. It may return without one.
func (r *Ring) Enter(w Wait) error {
	atomic.StoreUint32(r.sqTail, r.queued)
	begin := uintptr(r.queued - atomic.LoadUint32(r.sqHead))
	least := uintptr(1)
	r.argument.limit = 0
	switch {
	case w.Limit == 0:
		least = 0
	case w.Limit > 0:
		r.limit = unix.NsecToTimespec(int64(w.Limit))
		r.argument.limit = uint64(uintptr(unsafe.Pointer(&r.limit)))
	}
	call := unix.RawSyscall6
	if w.Told {
		call = unix.Syscall6
	}
	_, _, no := call(unix.SYS_IO_URING_ENTER, uintptr(r.fd), begin, least, enterGetEvents|enterExtArg, uintptr(unsafe.Pointer(&r.argument)), unsafe.Sizeof(r.argument))
	switch no {
	case 0, unix.EINTR, unix.ETIME, unix.EBUSY, unix.EAGAIN: // the last two are lacks that pass: what was not started stays in the queue
		return nil
	}
	return no
}

// Completion is the end of an operation, or one of several results of it.
type Completion struct {
	User   uint64 // as given to the operation
	Result int32  // of the system call that the operation stands for; an error is negative
	flags  uint32
}

// More reports whether the operation goes on.
func (c *Completion) More() bool { return c.flags&completionMore != 0 }

// Err is the error of the operation, nil if it has succeeded.
func (c *Completion) Err() error {
	if c.Result < 0 {
		return unix.Errno(-c.Result)
	}
	return nil
}

// Arrived is how many completions there are.
func (r *Ring) Arrived() int { return int(atomic.LoadUint32(r.cqTail) - r.seen) }

// At is the i-th completion that has arrived, from 0. It is valid until Handled.
func (r *Ring) At(i int) *Completion {
	return &r.completions[(r.seen+uint32(i))&uint32(len(r.completions)-1)]
}

// Handled forgets the first n completions.
func (r *Ring) Handled(n int) {
	r.seen += uint32(n)
	atomic.StoreUint32(r.cqHead, r.seen)
}
