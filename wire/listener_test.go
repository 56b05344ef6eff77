package wire

import (
	"errors"
	"net"
	"os"
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
