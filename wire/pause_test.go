package wire

import (
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"tether/wire/passing"
)

// A listener that was passed accepts the connections that were made while the first one was paused, and after that one was closed. The first
// one goes on after Resume.
func TestPassedListener(t *testing.T) {
	l := listen(t, ListenConfig{})
	socket, resume, err := l.Pause()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v from a paused listener", err)
	}
	peers := make(chan net.Conn, 3)
	dial := func() {
		t.Helper()
		c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		peers <- c
	}
	dial()
	passed := pass(t, socket)
	if err := resume(); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	dial()
	l.Close()
	other, err := Listen("", ListenConfig{Socket: passed, WriteTimeout: time.Minute}, l.watch)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	dial()
	for range 2 {
		c, err := other.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// pass passes a listener to this process.
func pass(t *testing.T, l *net.TCPListener) *net.TCPListener {
	t.Helper()
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	from, err := net.DialUnix("unix", nil, unix.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := unix.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := passing.Send(from, []byte("x"), l); err != nil {
		t.Fatal(err)
	}
	_, all, err := passing.Receive(to, make([]byte, 10))
	if err != nil || len(all) != 1 {
		t.Fatalf("%d listeners, %v", len(all), err)
	}
	return all[0]
}
