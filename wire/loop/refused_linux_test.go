package loop

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refusing is set for the process in which the kernel refuses something: a system call and its error, "CALL=ERRNO", or "memlock".
const refusing = "TETHER_TEST_REFUSING"

// Where the kernel does not allow io_uring, epoll takes over, and the reason is told.
func TestRefusedUring(t *testing.T) {
	if what := os.Getenv(refusing); what != "" {
		openRefused(t, what)
		return
	}
	if _, err := New(EngineUring, 1); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		call uint32
		no   unix.Errno
		want string
	}{
		{unix.SYS_IO_URING_SETUP, unix.EPERM, "(a filter of system calls, such as that of a container, forbids it)"},
		{unix.SYS_IO_URING_SETUP, unix.EACCES, "(a filter of system calls, such as that of a container, forbids it)"},
		{unix.SYS_IO_URING_SETUP, unix.ENOSYS, "(the kernel has none)"},
		{unix.SYS_IO_URING_SETUP, unix.EINVAL, "(Linux 6.1 or newer is needed)"},
		{unix.SYS_IO_URING_SETUP, unix.ENOMEM, "(too little memory that the process may lock)"},
		{unix.SYS_IO_URING_SETUP, unix.EMFILE, "too many open files"},
		{unix.SYS_IO_URING_REGISTER, unix.EPERM, "register receive buffers of io_uring: operation not permitted (a filter"},
		{unix.SYS_IO_URING_ENTER, unix.EPERM, "enter io_uring: operation not permitted (a filter"},
	} {
		out := runRefused(t, fmt.Sprintf("%d=%d", c.call, c.no))
		if !strings.Contains(out, "engine epoll: uring: ") || !strings.Contains(out, c.want) {
			t.Errorf("call %d with %v: %s", c.call, c.no, out)
		}
	}
}

// A ring needs no locked memory on newer kernels. On older ones epoll takes over.
func TestLittleLockedMemory(t *testing.T) {
	out := runRefused(t, "memlock")
	if !strings.Contains(out, "engine uring: <nil>") && !strings.Contains(out, "engine epoll: uring: ") {
		t.Error(out)
	}
	t.Log(out)
}

// runRefused runs TestRefusedUring in a process of its own, and returns what it prints.
func runRefused(t *testing.T, what string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestRefusedUring$", "-test.v")
	cmd.Env = append(os.Environ(), refusing+"="+what)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.Contains(string(out), "SKIP") {
		t.Skip(string(out))
	}
	return string(out)
}

// openRefused opens the engine while the kernel refuses what, and prints which one it got. Its loops must work, and no descriptor must be lost.
func openRefused(t *testing.T, what string) {
	if call, no, is := strings.Cut(what, "="); is {
		forbid(t, number(t, call), number(t, no))
	} else if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		t.Skip(err)
	}
	free := nextDescriptor(t)
	ls, engine, why := OpenEngine(EngineUring, 2)
	fmt.Printf("engine %s: %v\n", engine, why)
	ls.Close()
	if now := nextDescriptor(t); now != free {
		t.Errorf("the next descriptor is %d, and was %d", now, free)
	}
	peer, s := connected(t, engine, 1)
	r := drive(s, time.Time{})
	peer.Write([]byte("x"))
	wait(t, r.received)
}

// forbid makes the kernel answer a system call of this process with an error.
func forbid(t *testing.T, call, no uint32) {
	t.Helper()
	const number = 0 // where the number of the call is
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | no},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skip(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		t.Skip(errno)
	}
}

func number(t *testing.T, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// nextDescriptor is the number that the next descriptor gets.
func nextDescriptor(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	return fd
}
