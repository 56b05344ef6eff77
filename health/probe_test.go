package health

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"tether/sim"
	"tether/upstream"
)

// A lack of descriptors in this process is no evidence about the upstream.
func TestExhaustedIsNoEvidence(t *testing.T) {
	p := alone(t, nowhere)
	exhaust(t)
	if r := p.probe(t.Context(), &defaults); r != noEvidence {
		t.Errorf("%s", reasons[r])
	}
}

// exhaust leaves the process without descriptors until the test ends.
func exhaust(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // net finds out once, by opening sockets, whether there is IPv4
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	s := sim.New(sim.Config{})
	if _, err := s.Start("unix:" + t.TempDir() + "/vllm.sock"); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	w := watch(t, quick(), s.URL())
	w.await(w.up(0), upstream.Up)
}
