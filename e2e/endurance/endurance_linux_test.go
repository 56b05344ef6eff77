// Package endurance runs the built binary under clients that only cost: thousands that send nothing, hundreds that send one byte
// per second, some that read nothing of an endless stream, and thousands of streams whose clients leave, stall and return.
package endurance

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
)

var full = flag.Bool("full", false, "10,000 idle connections, the other clients in proportion, and a limit for the latency of ordinary clients")

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// scale is how many clients of each kind there are, and the limits that tether has for them.
type scale struct {
	idle, slow, deaf, ordinary int
	idleLimit, deafLimit       time.Duration // client_idle_timeout, client_write_timeout
	windows                    int
	window                     time.Duration
}

var (
	smallScale = scale{
		idle: 1000, slow: 100, deaf: 20, ordinary: 20,
		idleLimit: 14 * time.Second, deafLimit: 8 * time.Second, windows: 3, window: time.Second,
	}
	fullScale = scale{
		idle: 10_000, slow: 1000, deaf: 200, ordinary: 100,
		idleLimit: 40 * time.Second, deafLimit: 30 * time.Second, windows: 7, window: 2 * time.Second,
	}
)

const (
	// slowLimit is tether's limit for a head or a body of which almost nothing arrives.
	slowLimit = 10 * time.Second
	// lateness is by how much a limit may be exceeded. For deaf clients the kernel needs up to 10 s.
	lateness = 15 * time.Second

	// docs/OPERATIONS.md names these: the memory of the process, and of a connection of any kind.
	processMemory    = 64 << 20
	connectionMemory = 24 << 10
	// deafSockets is what the kernel buffers for a stream whose client does not read. Both far ends of it are on this host too.
	deafSockets = 2 << 20

	// secureMemory is the memory of a connection under TLS, with the remains of many handshakes at a time.
	secureMemory = 128 << 10
)

// Ordinary clients are served as before during the attack, at a known cost in memory and CPU, and all attackers are cut at their
// limits. The latency without an attack is measured at the same time, on a second tether that is not attacked, because the host may
// do other work too.
func TestEndurance(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for limits")
	}
	n := smallScale
	if *full {
		n = fullScale
	}
	needDescriptors(t, uint64(n.idle+n.slow+4*n.deaf+8*n.ordinary+500))
	eachEngine(t, func(t *testing.T) { endure(t, n) })
}

func endure(t *testing.T, n scale) {
	w := newWorld(t, n)
	w.attacked.wantEngine()
	before := w.attacked.resources()
	quiet := w.measure()

	began := time.Now()
	a := w.attack()
	all := float64(n.idle + n.slow + n.deaf)
	w.attacked.await("tether_client_connections", func(c float64) bool { return c >= all })
	t.Logf("%v connections after %v", all, time.Since(began).Round(time.Millisecond))
	under := w.measure()
	attacked := w.attacked.resources()
	if now := w.attacked.metric("tether_client_connections"); now < all*9/10 { // some slow clients are between two connections
		t.Errorf("only %v connections at the end of the measurement", now)
	}
	a.stop()
	w.attacked.await("tether_client_connections", func(c float64) bool { return c <= float64(n.ordinary) })
	t.Logf("all attackers gone %v after the first connected", time.Since(began).Round(time.Second))
	a.check()
	after := w.measure()
	w.attacked.leftNothing(before)

	t.Logf("p99 of %d ordinary clients, with the attack | without, at the same time:\nbefore %v\nunder  %v\nafter  %v", n.ordinary, quiet, under, after)
	t.Logf("memory: %d MiB before, %d MiB under attack and %d at most, %d KiB a connection; sockets of the whole host: %d MiB before, %d under attack",
		before.rss>>20, attacked.rss>>20, attacked.peak>>20, (attacked.peak-before.rss)>>10/int64(all), before.sockets>>20, attacked.sockets>>20)
	if most := processMemory + connectionMemory*int64(all); attacked.peak > most {
		t.Errorf("%d MiB of memory at most, want %d", attacked.peak>>20, most>>20)
	}
	if most := deafSockets * int64(n.deaf); attacked.sockets-before.sockets > most {
		t.Errorf("%d MiB in sockets, want at most %d", (attacked.sockets-before.sockets)>>20, most>>20)
	}
	if most := under.twin.median*3/2 + 5*time.Millisecond; *full && under.attacked.median > most {
		t.Errorf("p99 of %v under attack, want at most %v", under.attacked.median, most)
	}
	if extra := under.cpu - under.twinCPU; extra > 0.25 {
		t.Errorf("the attack costs %.2f of a processor", extra)
	}
}

// needDescriptors skips the test if a process cannot have n open files. This process and tether raise their limits as far as they
// may.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	if limit := descriptorLimit(t); uint64(limit) < n {
		t.Skipf("%d files may be open, want %d: ulimit -n", limit, n)
	}
}

// descriptorLimit is how many open files a process can have.
func descriptorLimit(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(min(limit.Cur, 1<<20))
}

// measured is the result of a measurement.
type measured struct {
	attacked, twin spread
	cpu, twinCPU   float64 // in processors
}

func (m measured) String() string {
	return fmt.Sprintf("%v, %.2f CPU | %v, %.2f CPU", m.attacked, m.cpu, m.twin, m.twinCPU)
}

// spread is the median and the range of the p99 over the windows of a measurement.
type spread struct{ median, least, most time.Duration }

func (s spread) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.1f ms (%.1f..%.1f)", ms(s.median), ms(s.least), ms(s.most))
}
