// Package dnstest serves DNS on loopback, for tests. Its caller answers the questions. dnstest.go is tested by the tests that use it.
package dnstest

import (
	"net"
	"testing"

	dnslib "github.com/miekg/dns"
)

// Serve starts a server over UDP and TCP, on one port, and returns its address. It ends with the test.
func Serve(t testing.TB, h dnslib.Handler) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dnslib.Server{{Listener: listener, Handler: h}, {PacketConn: packets, Handler: h}} {
		running, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(running) }
		go answer(s, ended)
		<-running
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	return listener.Addr().String()
}

// answer answers questions until s is shut down.
func answer(s *dnslib.Server, ended chan<- error) { ended <- s.ActivateAndServe() }
