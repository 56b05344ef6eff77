package uring

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var small = Config{Entries: 8, Completions: 32, Buffers: []Buffers{{4, 64}, {2, 16}}}

// enabled is a ring of the test's thread, and both ends of a connection.
func enabled(t *testing.T) (r *Ring, near, far int) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := Open(small)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(r.Close)
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return r, fds[0], fds[1]
}

// each is the user of operations with the second group of buffers.
const each = 1000

func groupOf(c *Completion) int { return int(c.User / each) }

// next waits for a completion, and returns it with what it has received.
func next(t *testing.T, r *Ring) (Completion, string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); r.Arrived() == 0; {
		if err := r.Enter(Wait{Limit: time.Second}); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing completes")
		}
	}
	c := *r.At(0)
	got := string(r.Received(&c, groupOf(&c)))
	r.Reuse(&c, groupOf(&c))
	r.Handled(1)
	return c, got
}

// More is received than there are buffers, and all of it in order: each buffer is used again.
func TestReceive(t *testing.T) {
	r, near, far := enabled(t)
	for n := range 3 * small.Buffers[0].Number {
		r.Receive(near, 0, uint64(n))
		sent := bytes.Repeat([]byte{byte(n)}, 1+n)
		unix.Write(far, sent)
		if c, got := next(t, r); c.User != uint64(n) || c.Err() != nil || got != string(sent) {
			t.Fatalf("completion %d: %+v, %q", n, c, got)
		}
	}
	unix.Shutdown(far, unix.SHUT_WR)
	r.Receive(near, 0, 99)
	if c, got := next(t, r); c.User != 99 || c.Result != 0 || got != "" {
		t.Errorf("at the end: %+v, %q", c, got)
	}
}

// A socket gets the error of a lack of buffers, and receives once there is one.
func TestNoBuffers(t *testing.T) {
	r, near, far := enabled(t)
	var held []Completion
	for range small.Buffers[0].Number {
		unix.Write(far, []byte("x"))
		r.Receive(near, 0, 1)
		for r.Arrived() == 0 {
			if err := r.Enter(Wait{Limit: time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		held = append(held, *r.At(0))
		r.Handled(1)
	}
	unix.Write(far, []byte("y"))
	r.Receive(near, 0, 2)
	if c, _ := next(t, r); !errors.Is(c.Err(), unix.ENOBUFS) {
		t.Errorf("without buffers: %+v", c)
	}
	r.Reuse(&held[2], 0)
	r.Receive(near, 0, 3)
	if c, got := next(t, r); c.Err() != nil || got != "y" {
		t.Errorf("with a buffer: %+v, %q", c, got)
	}
}

// One operation receives again and again, until it has no buffer.
func TestReceiveEach(t *testing.T) {
	r, near, far := enabled(t)
	r.ReceiveEach(near, 1, each)
	for n := range 10 {
		sent := bytes.Repeat([]byte{byte(n)}, 1+n)
		unix.Write(far, sent)
		if c, got := next(t, r); c.User != each || !c.More() || got != string(sent) {
			t.Fatalf("completion %d: %+v, %q", n, c, got)
		}
	}
	unix.Write(far, bytes.Repeat([]byte("x"), 3*16))
	for r.Arrived() < 3 {
		if err := r.Enter(Wait{Limit: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	if c := r.At(2); c.More() || !errors.Is(c.Err(), unix.ENOBUFS) {
		t.Errorf("without buffers: %+v", c)
	}
}

func TestSend(t *testing.T) {
	r, near, far := enabled(t)
	r.Send(near, []byte("hello"), 7)
	if c, _ := next(t, r); c.User != 7 || c.Result != 5 {
		t.Errorf("%+v", c)
	}
	got := make([]byte, 16)
	if n, err := unix.Read(far, got); err != nil || string(got[:n]) != "hello" {
		t.Errorf("%q, %v", got[:n], err)
	}
	unix.Shutdown(far, unix.SHUT_RD)
	r.Send(near, []byte("lost"), 8)
	if c, _ := next(t, r); c.Err() != unix.EPIPE {
		t.Errorf("to a closed end: %+v", c)
	}
}

func TestSendNow(t *testing.T) {
	r, near, far := enabled(t)
	r.SendNow(near, []byte("hello"), 7)
	if err := r.Enter(Wait{Limit: time.Millisecond}); err != nil || r.Room() != small.Entries || r.Arrived() != 0 {
		t.Fatalf("room for %d, %d completions, %v", r.Room(), r.Arrived(), err)
	}
	got := make([]byte, 16)
	if n, err := unix.Read(far, got); err != nil || string(got[:n]) != "hello" {
		t.Errorf("sent %q, %v", got[:max(0, n)], err)
	}
	much := make([]byte, 16<<20)
	r.SendNow(near, much, 8)
	c, _ := next(t, r)
	if c.User != 8 || c.Result <= 0 || int(c.Result) >= len(much) {
		t.Errorf("more than the kernel takes: %+v", c)
	}
	for c.Result > 0 { // it may have made room
		r.SendNow(near, much, 9)
		c, _ = next(t, r)
	}
	if c.Err() != unix.EAGAIN {
		t.Errorf("nothing is taken: %+v", c)
	}
	unix.Shutdown(far, unix.SHUT_RD)
	r.SendNow(near, []byte("x"), 10)
	if c, _ := next(t, r); c.User != 10 || c.Err() != unix.EPIPE {
		t.Errorf("to nobody: %+v", c)
	}
}

func TestPoll(t *testing.T) {
	r, near, far := enabled(t)
	r.Poll(near, unix.POLLRDHUP, 1)
	r.PollEach(near, unix.POLLIN, 2)
	for range 3 {
		unix.Write(far, []byte("x"))
		if c, _ := next(t, r); c.User != 2 || !c.More() {
			t.Errorf("%+v", c)
		}
	}
	unix.Shutdown(far, unix.SHUT_WR)
	seen := map[uint64]bool{}
	for !seen[1] {
		c, _ := next(t, r)
		seen[c.User] = true
	}
}

func TestCancel(t *testing.T) {
	r, near, _ := enabled(t)
	r.Receive(near, 0, 1)
	r.Poll(near, unix.POLLRDHUP, 2)
	r.Cancel(1, 3)
	for range 2 {
		if c, _ := next(t, r); c.User == 1 && c.Err() != unix.ECANCELED || c.User == 2 {
			t.Errorf("%+v", c)
		}
	}
	r.Cancel(2, 4)
	for range 2 {
		if c, _ := next(t, r); c.User == 2 && c.Err() != unix.ECANCELED {
			t.Errorf("%+v", c)
		}
	}
}

// The queue tells how much room it has, and Enter makes all of it room again.
func TestRoom(t *testing.T) {
	r, near, far := enabled(t)
	for n := small.Entries; n > 0; n-- {
		if r.Room() != n {
			t.Fatalf("room for %d, want %d", r.Room(), n)
		}
		r.Send(near, []byte{byte(n)}, 1)
	}
	if err := r.Enter(Wait{}); err != nil || r.Room() != small.Entries || r.Arrived() != small.Entries {
		t.Errorf("%v, room for %d, %d completions", err, r.Room(), r.Arrived())
	}
	got := make([]byte, 16)
	if n, err := unix.Read(far, got); n != small.Entries || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A wait ends at its limit, whether the scheduler knows of it or not.
func TestWaitEnds(t *testing.T) {
	r, _, _ := enabled(t)
	for _, told := range []bool{false, true} {
		begun := time.Now()
		if err := r.Enter(Wait{Limit: 20 * time.Millisecond, Told: told}); err != nil || time.Since(begun) > 5*time.Second {
			t.Errorf("told %v: %v after %v", told, err, time.Since(begun))
		}
	}
}

// BenchmarkCancel cancels one of many polls, and starts it again.
func BenchmarkCancel(b *testing.B) {
	for _, polls := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("%d polls", polls), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r, err := Open(Config{Entries: 256, Completions: 1024})
			if err != nil {
				b.Skip(err)
			}
			defer r.Close()
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			if err != nil || r.Enable() != nil {
				b.Fatal(err)
			}
			defer unix.Close(fd)
			poll := func(user int) {
				if r.Room() < 2 {
					_ = r.Enter(Wait{}) // an error shows at the next wait
				}
				r.Poll(fd, unix.POLLIN, uint64(user))
			}
			for user := range polls {
				poll(1 + user)
			}
			for n := 0; b.Loop(); n++ {
				user := 1 + n%polls
				poll(user)
				r.Cancel(uint64(user), 0)
				for arrived := 0; arrived < 2; {
					if err := r.Enter(Wait{Limit: time.Second}); err != nil {
						b.Fatal(err)
					}
					n := r.Arrived()
					r.Handled(n)
					arrived += n
				}
			}
		})
	}
}
