package wire

import (
	"context"
	"errors"
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
		{"no listener", "tcp", l.Addr().String(), context.Background(), failure.Refused},
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
	if c.Stale(false) {
		t.Error("a fresh connection is stale")
	}
}

// A process without descriptors cannot resolve names either. That says nothing about the upstream.
func TestResolverWithoutDescriptors(t *testing.T) {
	_, _ = net.LookupHost("localhost") // Go's resolver reads its files before the descriptors run out
	free := exhaust(t)
	_, byAddress := Dial(t.Context(), "tcp", "127.0.0.1:1", nil, time.Second)
	_, byName := Dial(t.Context(), "tcp", "vllm-0.vllm.example:80", nil, time.Second)
	free()
	if byAddress != failure.Exhausted || byName != failure.Exhausted {
		t.Errorf("by address: %v; by name: %v", byAddress, byName)
	}
}
