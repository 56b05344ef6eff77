package uring

// The constants and structures of the kernel, from include/uapi/linux/io_uring.h.
const (
	setupCQSize       = 1 << 3
	setupDisabled     = 1 << 6 // IORING_SETUP_R_DISABLED
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8

	offRings   = 0          // IORING_OFF_SQ_RING
	offEntries = 0x10000000 // IORING_OFF_SQES

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerEnableRings = 12
	registerBufferRing  = 22

	opPollAdd     = 6
	opAsyncCancel = 14
	opSend        = 26
	opRecv        = 27

	entryBufferSelect = 1 << 5 // in entry.flags
	entrySkipSuccess  = 1 << 6
	recvPollFirst     = 1 << 0 // in entry.priority
	recvMultishot     = 1 << 1
	pollMulti         = 1 << 0 // in entry.length

	completionBuffer = 1 << 0 // in Completion.flags; the buffer's number is above
	completionMore   = 1 << 1
	bufferShift      = 16
)

type params struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wqFD uint32

	_      [3]uint32
	sq, cq offsets
}

// offsets are those of a queue in the memory that it shares with the kernel. The last two are named for the submission queue; in
// the completion queue flags is overflow and dropped is the array of completions.
type offsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32

	_ uint64
}

// entry is a submission, struct io_uring_sqe.
type entry struct {
	opcode, flags uint8
	priority      uint16
	fd            int32
	offset        uint64
	address       uint64
	length        uint32
	opFlags       uint32
	user          uint64
	group         uint16

	_ [22]byte
}

// buffer is one of a ring of buffers, struct io_uring_buf. In the first one, reserved is the tail of the ring.
type buffer struct {
	address          uint64
	length           uint32
	number, reserved uint16
}

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	address      uint64
	entries      uint32
	group, flags uint16

	_ [3]uint64
}

// waitArgument is struct io_uring_getevents_arg.
type waitArgument struct {
	signals       uint64
	signalsLength uint32
	_             uint32
	limit         uint64
}
