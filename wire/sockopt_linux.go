package wire

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketOptions returns the Control function that sets TCP_USER_TIMEOUT and TCP_NOTSENT_LOWAT, each unless it is 0.
// Accepted connections inherit them from their listener.
func socketOptions(timeout time.Duration, unsent int) func(network, address string, raw syscall.RawConn) error {
	options := map[int]int{unix.TCP_USER_TIMEOUT: int(timeout.Milliseconds()), unix.TCP_NOTSENT_LOWAT: unsent}
	return func(network, _ string, raw syscall.RawConn) (err error) {
		if network == "unix" {
			return nil
		}
		for option, value := range options {
			if value != 0 {
				err = errors.Join(err, setOption(raw, option, value))
			}
		}
		return err
	}
}

func setOption(raw syscall.RawConn, option, value int) error {
	return setOptionAt(raw, unix.IPPROTO_TCP, option, value)
}

func setOptionAt(raw syscall.RawConn, level, option, value int) error {
	var optErr error
	err := raw.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, optErr)
}

// dropNew makes the kernel drop each segment with SYN to a listening socket. Handshakes that have begun go on.
func dropNew(listening syscall.RawConn) error {
	const flags, syn, keep = 13, 0x02, 0xffffffff // where the flags of TCP are in a segment; a flag; a length
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: keep},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var optErr error
	err := listening.Control(func(fd uintptr) {
		optErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	return errors.Join(err, optErr)
}

// backlog is how many connections of a listening socket wait for Accept; 0 if unknown.
func backlog(listening syscall.RawConn) (n int) {
	_ = listening.Control(func(fd uintptr) { // fails only on a closed listener
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Unacked) // so the kernel shows the backlog of a listening socket
		}
	})
	return n
}

// delayAcks turns TCP_QUICKACK off (tcp(7)). Unix sockets refuse the option, and need none.
func delayAcks(raw syscall.RawConn) { _ = raw.Control(endQuickAcks) }

func endQuickAcks(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
}

// quiet reports whether there is nothing to read: no byte, no end, no error. It peeks and never blocks, so a raw system call
// will do.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// unsent is how many bytes wait in the socket, sent or not, to be acknowledged; 0 if unknown.
func unsent(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
