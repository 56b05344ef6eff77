package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Accept survives a lack of descriptors: it waits until one is free and goes on.
func TestAcceptSurvivesDescriptorLimit(t *testing.T) {
	failed := make(chan struct{}, 1)
	l := listen(t, ListenConfig{OnFailure: func() {
		select {
		case failed <- struct{}{}:
		default:
		}
	}})
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	free := exhaust(t)
	defer free()
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Close()
		}
		accepted <- err
	}()
	select {
	case err := <-accepted:
		t.Fatalf("accepted without a descriptor: %v", err)
	case <-failed:
	case <-time.After(patience):
		t.Fatal("nothing is heard of it")
	}
	free()
	if err := <-accepted; err != nil {
		t.Errorf("Accept ended with %v", err)
	}
}

// exhaust takes all descriptors until free is called.
func exhaust(t *testing.T) (free func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var hogs []*os.File
	free = func() {
		for _, h := range hogs {
			h.Close()
		}
		hogs = nil
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, unix.EMFILE) {
			return free
		}
		if err != nil {
			free()
			t.Fatal(err)
		}
		hogs = append(hogs, f)
	}
}

// A listener that is drained before it is closed serves every connection that a client got.
func TestDrainServesAllConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux drains a listener")
	}
	t.Parallel()
	for range 3 {
		l := listen(t, ListenConfig{})
		var accepting, clients sync.WaitGroup
		accepting.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				clients.Go(func() {
					_, _ = io.Copy(c.Conn, c.Conn)
					c.Close()
				})
			}
		})
		var served, lost atomic.Int64
		enough := make(chan struct{})
		for range 4 {
			clients.Go(func() {
				for {
					c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
					if err != nil {
						return // the listener is closed
					}
					if echoes(c) {
						if served.Add(1) == 50 {
							close(enough)
						}
					} else {
						lost.Add(1)
					}
					c.Close()
				}
			})
		}
		<-enough
		l.Drain(t.Context())
		l.Close()
		accepting.Wait()
		clients.Wait()
		if n := lost.Load(); n > 0 {
			t.Errorf("%d connections are lost, %d are served", n, served.Load())
		}
	}
}

// echoes reports whether the peer sends back what it is sent.
func echoes(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(patience))
	var b [1]byte
	_, err := c.Write([]byte{'x'})
	if err == nil {
		_, err = c.Read(b[:])
	}
	return err == nil
}
