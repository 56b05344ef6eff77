package passing

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// unixPair returns both ends of a connection over a Unix socket.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err == nil {
		b, err = l.AcceptUnix()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// A listener that was passed accepts connections after the first one was closed.
func TestPassed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, b := unixPair(t)
	if err := Send(a, []byte("text"), l.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	text, all, err := Receive(b, make([]byte, 100))
	if err != nil || string(text) != "text" || len(all) != 1 {
		t.Fatalf("%q, %d listeners, %v", text, len(all), err)
	}
	defer all[0].Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	accepted, err := all[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

// What is no listener of TCP is refused, and so is a message without any.
func TestWhatIsNoListener(t *testing.T) {
	a, b := unixPair(t)
	raw, err := a.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { _, _, err = a.WriteMsgUnix([]byte("text"), unix.UnixRights(int(fd)), nil) })
	if err != nil {
		t.Fatal(err)
	}
	if _, all, err := Receive(b, make([]byte, 100)); err == nil || len(all) > 0 {
		t.Errorf("%d listeners, %v", len(all), err)
	}
	if _, err := a.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, all, err := Receive(b, make([]byte, 100)); err != nil || len(all) > 0 {
		t.Errorf("%d listeners, %v", len(all), err)
	}
	a.Close()
	if _, _, err := Receive(b, make([]byte, 100)); err == nil {
		t.Error("no error at the end")
	}
}
