package health

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"tether/sim"
	"tether/upstream"
	"tether/upstream/transport"
)

// alone gives a prober that nobody runs, of an upstream that is up.
func alone(t *testing.T, url string) *prober {
	t.Helper()
	a, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	r := upstream.NewRegistry(nil)
	if _, err := r.Apply([]upstream.Spec{{Name: "a", Address: a}}); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	p := &prober{cfg: &cfg, server: r.Table().Servers[0], tally: tally{rise: cfg.Rise, fall: cfg.Fall}, buf: make([]byte, maxHead)}
	p.apply(succeeded, time.Now())
	return p
}

// nowhere is the address of an upstream that is never dialled.
const nowhere = "http://127.0.0.1:1"

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

// Probes are an interval apart, from start to start, give or take a tenth; a second while an upstream is suspect.
func TestPauseCountsFromTheStart(t *testing.T) {
	for _, c := range []struct {
		name              string
		suspect           bool
		took              time.Duration // of the probe
		earliest, longest time.Duration
	}{
		{"up", false, 0, 4500 * time.Millisecond, 5500 * time.Millisecond},
		{"up, slow to answer", false, 1900 * time.Millisecond, 4500 * time.Millisecond, 5500 * time.Millisecond},
		{"suspect", true, 0, time.Second, time.Second},
		{"suspect, slow to answer", true, 900 * time.Millisecond, time.Second, time.Second},
		{"suspect, timed out", true, 2 * time.Second, 2 * time.Second, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := alone(t, nowhere)
				if c.suspect {
					p.server.Suspected("test")
					<-p.server.ProbeWanted()
				}
				for range 20 { // the spread is random
					started := time.Now()
					time.Sleep(c.took)
					p.wait(t.Context(), started)
					if got := time.Since(started); got < c.earliest || got > c.longest {
						t.Fatalf("the next probe starts %v after the last one, want %v..%v", got, c.earliest, c.longest)
					}
				}
			})
		})
	}
}

func TestPauseSpreadsByATenth(t *testing.T) {
	p := alone(t, nowhere)
	least, most := time.Hour, time.Duration(0)
	for range 10_000 {
		pause := p.pause()
		least, most = min(least, pause), max(most, pause)
	}
	const ms = time.Millisecond
	if least < 4500*ms || least > 4550*ms || most < 5450*ms || most > 5500*ms {
		t.Errorf("%v..%v, want 4.5s..5.5s", least, most)
	}
}

// A server that closes after /health still lists its models.
func TestModelsThoughHealthCloses(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"a"}]}`) })
	s := httptest.NewServer(mux)
	defer s.Close()
	w := watch(t, quick(), s.URL)
	w.ready()
	if u := w.up(0); !u.Models().Has([]byte("a")) {
		t.Errorf("%s, models %v", u.State().Words(), u.Models())
	}
}

// That this process has no descriptors left says nothing of the upstream.
func TestExhaustedIsNoEvidence(t *testing.T) {
	p := alone(t, nowhere)
	exhaust(t)
	if r := p.probe(t.Context()); r != noEvidence {
		t.Errorf("%s", reasons[r])
	}
}

// A probe that succeeds ends suspicion, one that says nothing does not, nor one failure that is not a verdict yet.
func TestSuccessEndsSuspicion(t *testing.T) {
	for r, want := range map[result]bool{succeeded: false, noEvidence: true, wrongAnswer: true} {
		p := alone(t, nowhere)
		p.server.Suspected("test")
		p.apply(r, time.Now())
		if s := p.server.State(); s.Suspect() != want || s.Health() != upstream.Up {
			t.Errorf("%s: %s", reasons[r], s.Words())
		}
	}
}

// One failed probe makes it certain that an upstream which said so is leaving, long before it is down.
func TestFailureMakesLeavingCertain(t *testing.T) {
	for r, want := range map[result]bool{succeeded: false, noEvidence: false, failedConnection: true, wrongAnswer: true, timedOut: true} {
		p := alone(t, nowhere)
		p.server.SaidLeaving()
		p.apply(r, time.Now())
		if s := p.server.State(); s.LeavingConfirmed() != want || !s.Leaving() || s.Health() != upstream.Up {
			t.Errorf("%s: %s, for certain: %v", reasons[r], s.Words(), s.LeavingConfirmed())
		}
	}
}

// An upstream that neither goes down nor says again that it is leaving is believed in again after two minutes.
func TestLeavingExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := alone(t, nowhere)
		p.server.SaidLeaving()
		time.Sleep(2 * time.Minute)
		p.apply(succeeded, time.Now())
		if !p.server.State().Leaving() {
			t.Error("not leaving after two minutes")
		}
		time.Sleep(time.Second)
		p.apply(succeeded, time.Now())
		if p.server.State().Leaving() {
			t.Error("leaving for ever")
		}
	})
}

// A name with several addresses is warned of; one address of each IP version is no lottery.
func TestLottery(t *testing.T) {
	for _, c := range []struct {
		name      string
		addresses []string
		err       error
		want      bool
	}{
		{"two", []string{"10.0.0.1", "10.0.0.2"}, nil, true},
		{"two, as IPv6", []string{"::ffff:10.0.0.1", "::ffff:10.0.0.2"}, nil, true},
		{"two of IPv6", []string{"2001:db8::1", "2001:db8::2"}, nil, true},
		{"one", []string{"10.0.0.1"}, nil, false},
		{"one of each", []string{"10.0.0.1", "2001:db8::1"}, nil, false},
		{"unknown", nil, &net.DNSError{IsNotFound: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var addresses []netip.Addr
			for _, a := range c.addresses {
				addresses = append(addresses, netip.MustParseAddr(a))
			}
			warnings := 0
			p := alone(t, "http://vllm.test:8000")
			p.hooks.Warned = func(*upstream.Server, string) { warnings++ }
			p.lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
				if network != "ip" || host != "vllm.test" {
					t.Errorf("asked for %s %s", network, host)
				}
				return addresses, c.err
			}
			p.warnOfLottery(t.Context())
			if (warnings == 1) != c.want {
				t.Errorf("%d warnings", warnings)
			}
		})
	}
}

// The look-up for the warning keeps no verdict waiting, and is made once.
func TestLotteryComesAfterTheVerdict(t *testing.T) {
	s := startSim(t, sim.Config{})
	w := watch(t, quick())
	asked := make(chan upstream.Health, 100)
	w.monitor.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		asked <- w.up(0).State().Health()
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, nil
	}
	w.apply(strings.Replace(s.URL(), "127.0.0.1", "localhost", 1))
	timeout := time.After(patience)
	select {
	case h := <-asked:
		if h != upstream.Up {
			t.Error("looked up before the first verdict")
		}
	case <-timeout:
		t.Fatal("never looked up")
	}
	select {
	case text := <-w.warnings:
		if !strings.Contains(text, "lottery") {
			t.Error(text)
		}
	case <-timeout:
		t.Fatal("never warned")
	}
	s.Kill()
	w.await(w.up(0), upstream.Down)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	w.await(w.up(0), upstream.Up)
	if len(asked) > 0 {
		t.Error("looked up again")
	}
}
