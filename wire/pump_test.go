package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// until is a Tap that ends after a number of bytes.
type until int

func (u *until) Take(_ time.Time, p []byte) ([]byte, bool) {
	n := min(int(*u), len(p))
	*u -= until(n)
	return p[:n], *u > 0
}

// pumped runs a Pump from a source, fed by write, to a target.
func pumped(t *testing.T, tap Tap, idle time.Duration, write func(*net.TCPConn)) (end End, got []byte, err error) {
	t.Helper()
	l, lerr := net.Listen("tcp", "127.0.0.1:0")
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer l.Close()
	src := dial(t, l.Addr().String())
	feeder, lerr := l.Accept()
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer feeder.Close()
	peer, dst := connect(t, listen(t, ListenConfig{}))
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(peer)
		all <- b
	}()
	write(feeder.(*net.TCPConn))
	end, err = Pump(dst, src, make([]byte, 1024), idle, tap)
	dst.Close()
	return end, <-all, err
}

func TestPump(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 1000)
	want := until(len(body))
	end, got, err := pumped(t, &want, patience, func(c *net.TCPConn) { c.Write(body); c.Write([]byte("beyond")) })
	if end != Finished || err != nil || !bytes.Equal(got, body) {
		t.Errorf("end %d, %v, %d bytes", end, err, len(got))
	}

	want = until(len(body) + 1)
	end, got, err = pumped(t, &want, patience, func(c *net.TCPConn) { c.Write(body); c.Close() })
	if end != SourceEnded || err != io.EOF || !bytes.Equal(got, body) {
		t.Errorf("source closed: end %d, %v, %d bytes", end, err, len(got))
	}

	want = until(len(body) + 1)
	end, got, err = pumped(t, &want, 200*time.Millisecond, func(c *net.TCPConn) { c.Write(body) })
	if end != SourceIdle || !IsTimeout(err) || !bytes.Equal(got, body) {
		t.Errorf("source idle: end %d, %v, %d bytes", end, err, len(got))
	}
}

func TestPumpTargetFails(t *testing.T) {
	peer, dst := connect(t, listen(t, ListenConfig{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	src := dial(t, l.Addr().String())
	feeder, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer feeder.Close()
	peer.SetLinger(0)
	peer.Close()
	go func() {
		for {
			if _, err := feeder.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	}()
	want := until(1 << 40)
	end, err := Pump(dst, src, make([]byte, 1024), patience, &want)
	src.Close()
	if end != TargetFailed || errors.Is(err, io.EOF) {
		t.Errorf("end %d, %v", end, err)
	}
}
