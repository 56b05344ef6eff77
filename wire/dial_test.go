package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/failure"
)

func isReset(err error) bool { return errors.Is(err, unix.ECONNRESET) }

func dial(t testing.TB, address string) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), "tcp", address, nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestKindsOfFailedDials(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name, network, address string
		ctx                    context.Context
		want                   failure.Kind
	}{
		{"nobody listens", "tcp", l.Addr().String(), context.Background(), failure.Refused},
		{"no such socket", "unix", filepath.Join(t.TempDir(), "none"), context.Background(), failure.Refused},
		{"no such name", "tcp", "host.invalid:80", context.Background(), failure.Unreachable},
		{"client gone", "tcp", l.Addr().String(), cancelled, failure.Unreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := Dial(c.ctx, c.network, c.address, nil, time.Second)
			if err == nil {
				conn.Close()
				t.Fatal("connected")
			}
			if err != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	for _, errno := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.EADDRNOTAVAIL, unix.ENOBUFS, unix.ENOMEM} {
		if got := kindOf(&net.OpError{Err: os.NewSyscallError("connect", errno)}); got != failure.Exhausted {
			t.Errorf("%v: %v, want Exhausted", errno, got)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(context.Background(), "unix", path, nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Stale() {
		t.Error("a fresh connection is stale")
	}
}

func TestStale(t *testing.T) {
	for name, spoil := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) { c.Close() },
		"reset":  func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"bytes":  func(c *net.TCPConn) { c.Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			c := dial(t, l.Addr().String())
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			if c.Stale() {
				t.Fatal("stale before anything happened")
			}
			spoil(peer.(*net.TCPConn))
			for deadline := time.Now().Add(patience); !c.Stale(); {
				if time.Now().After(deadline) {
					t.Fatal("never stale")
				}
			}
		})
	}
}

func TestAbortEndsARead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, l.Addr().String())
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	c.Abort()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the upstream saw %v, want EOF", err)
	}
}

func TestReadWithin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, l.Addr().String())
	now := time.Now()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.ReadWithin(now, time.Minute))
	first := c.deadline
	must(c.ReadWithin(now.Add(time.Second), time.Minute))
	if c.deadline != first {
		t.Error("the deadline moved after a second of a minute")
	}
	must(c.ReadWithin(now.Add(10*time.Second), time.Minute))
	if !c.deadline.After(first) {
		t.Error("the deadline did not move after ten seconds of a minute")
	}
	must(c.ReadWithin(now, time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !IsTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
}

// BenchmarkStale is the price of a look at an idle connection before its reuse.
func BenchmarkStale(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := dial(b, l.Addr().String())
	b.ReportAllocs()
	for b.Loop() {
		if c.Stale() {
			b.Fatal("stale")
		}
	}
}

// Out of descriptors no name can be resolved either, which says nothing of the upstream.
func TestNameWithoutDescriptors(t *testing.T) {
	free := exhaust(t)
	_, byAddress := Dial(t.Context(), "tcp", "127.0.0.1:1", nil, time.Second)
	_, byName := Dial(t.Context(), "tcp", "vllm-0.vllm.example:80", nil, time.Second)
	free()
	if byAddress != failure.Exhausted || byName != failure.Exhausted {
		t.Errorf("by address: %v; by name: %v", byAddress, byName)
	}
}
