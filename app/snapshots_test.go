package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tether/config"
	"tether/session/identity"
	"tether/sim"
)

// turns takes one turn of each of 20 sessions, and returns where they went.
func (s *running) turns(outcome string) (at []string) {
	s.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 20 {
		got, err := s.turn(client, fmt.Sprint("s-", i), 0, false)
		if err != nil || got.status != 200 || got.outcome != outcome {
			s.t.Fatalf("%+v, %v, want %s", got, err, outcome)
		}
		at = append(at, got.server)
	}
	return at
}

// saving starts a tether that keeps its pins at path.
func saving(t *testing.T, path string, urls ...string) *running {
	t.Helper()
	s := startTether(t, func(c *config.Config) { named(c); c.Session.Pins.Snapshot = path }, urls...)
	for i := range urls {
		s.await(i, "up")
	}
	return s
}

// Sessions stay on their servers over a restart, even where their homes are elsewhere. A second process beside the first one neither
// reads nor writes the file, and says so; it writes once the first has ended.
func TestPinsSurviveARestart(t *testing.T) {
	_, urls := startSims(t, 3, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	first := saving(t, path, urls[:2]...)
	before := first.turns("new")
	second := saving(t, path, urls[:2]...)
	if second.logs.FilterMessage("no snapshot of pins is read or written: another process uses it").Len() != 1 {
		t.Errorf("the second process says nothing:\n%s", second.logs.text())
	}
	second.app.saved.write()
	if _, err := os.Stat(path); err == nil {
		t.Error("the second process wrote the file of the first")
	}
	first.stop(false)
	second.turns("new") // it did not read the file
	second.stop(false)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}

	third := saving(t, path, urls...) // the homes of a third of the sessions are now on vllm-2
	if after := third.turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
	if line := third.logs.FilterMessage("pins restored"); line.Len() != 1 || line.All()[0].ContextMap()["pins"] != int64(20) {
		t.Errorf("%v", line.All())
	}
	third.app.saved.write()
	if text := third.text("/metrics"); !strings.Contains(text, `tether_session_snapshots_total{result="ok"} 1`) {
		t.Error("the snapshot was not counted")
	}
	third.stop(false)

	// A damaged file is one line, and an empty map.
	if err := os.WriteFile(path, []byte("tether's pins\r\n\x00damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	fourth := saving(t, path, urls...)
	if line := fourth.logs.FilterMessage("the snapshot of pins cannot be used, all sessions are new"); line.Len() != 1 || !strings.HasPrefix(fmt.Sprint(line.All()[0].ContextMap()["problem"]), "is of version ") {
		t.Errorf("%v", line.All())
	}
	fourth.turns("new")
}

// The pins of an upstream that appears after the start are restored then.
func TestPinsOfALateUpstream(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	first := saving(t, path, urls...)
	before := first.turns("new")
	first.stop(false)
	second := saving(t, path, urls[0])
	second.app.applying.Lock()
	s := *second.app.settings.Load()
	s.specs = specsOf(t, urls...)
	err := second.app.apply(&s)
	second.app.applying.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	second.await(1, "up")
	if after := second.turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
}

// A path that cannot be written is an error of the configuration.
func TestSnapshotPath(t *testing.T) {
	cfg := config.Default()
	cfg.Upstreams = []config.Upstream{{URL: "http://127.0.0.1:1"}}
	cfg.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Session.Pins.Snapshot = filepath.Join(t.TempDir(), "nowhere", "pins")
	err := Run(unending(t), cfg, newLogbook().env(), nil)
	if err == nil || !strings.Contains(err.Error(), `nowhere/pins" cannot be written: no such file or directory, want a path in a folder that tether may write to`) {
		t.Error(err)
	}
}

// A completion without an id goes on with its conversation after a restart, although its prompt has grown: what was learned of prompts is
// kept with the pins.
func TestPromptsSurviveARestart(t *testing.T) {
	_, urls := startSims(t, 3, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	complete := func(s *running, prompt string) (id, outcome string) {
		t.Helper()
		res, err := http.Post("http://"+s.addr+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"model":"tiny","prompt":%q,"max_tokens":1}`, prompt)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.Header.Get("X-Session-Id"), res.Header.Get("X-Tether-Affinity")
	}
	prompt := "A conversation that is written into its prompt, and begins in its own way."
	first := saving(t, path, urls...)
	id, _ := complete(first, prompt)
	first.stop(false)
	for range 3 {
		prompt += " " + strings.Repeat("And so it goes on. ", 20)
		next := saving(t, path, urls...)
		if got, outcome := complete(next, prompt); got != id || outcome != "pinned" {
			t.Errorf("%s at session %s, want pinned at %s", outcome, got, id)
		}
		next.stop(false)
	}
}

// A disk that is full keeps the last snapshot, and says why, in one line and a metric. The next one is written when there is space.
func TestSnapshotOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no full device")
	}
	_, urls := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	first := saving(t, path, urls...)
	before := first.turns("new")
	first.app.saved.write()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path+".new"); err != nil {
		t.Fatal(err)
	}
	first.app.saved.write()
	line := first.logs.FilterMessage("snapshot of pins not written, the last one stays")
	if line.Len() != 1 || !strings.Contains(fmt.Sprint(line.All()[0].ContextMap()["problem"]), "no space left on device") {
		t.Errorf("%v", line.All())
	}
	if text := first.text("/metrics"); !strings.Contains(text, `tether_session_snapshots_total{result="failed"} 1`) {
		t.Error("the failure was not counted")
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(good) {
		t.Errorf("the last snapshot is another one, or gone: %v", err)
	}
	first.turns("pinned")
	first.stop(false)
	if after := saving(t, path, urls...).turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
}

// A snapshot of another fleet pins nothing, whether its servers have other names, or the same names at other addresses. The first snapshot of
// this fleet takes its place.
func TestSnapshotOfAnotherFleet(t *testing.T) {
	_, theirs := startSims(t, 2, sim.Config{})
	_, ours := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	other := saving(t, path, theirs...)
	other.turns("new")
	other.stop(false)
	theirPins, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]string{"the same names": "vllm-", "other names": "ours-"} {
		if err := os.WriteFile(path, theirPins, 0o600); err != nil {
			t.Fatal(err)
		}
		start := func() *running {
			s := startTether(t, func(c *config.Config) {
				c.Session.Pins.Snapshot = path
				for i := range c.Upstreams {
					c.Upstreams[i].Name = fmt.Sprint(name, i)
				}
			}, ours...)
			s.await(0, "up")
			s.await(1, "up")
			return s
		}
		s := start()
		if pins := s.app.pins.Stats().Pins; pins != 0 {
			t.Errorf("%s: %d pins", what, pins)
		}
		before := s.turns("new")
		s.stop(false)
		again := start()
		if after := again.turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: %v, before %v", what, after, before)
		}
		again.stop(false)
	}
}

// A snapshot that vanishes while tether runs is written again, and nothing is lost.
func TestSnapshotThatVanishes(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	path := filepath.Join(t.TempDir(), "pins")
	first := saving(t, path, urls...)
	before := first.turns("new")
	first.app.saved.write()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first.stop(false)
	if after := saving(t, path, urls...).turns("pinned"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before %v", after, before)
	}
}

// BenchmarkStartFromAMillionPins starts a whole tether from a snapshot of a million pins, until it says that it is ready. That includes the first
// verdict about its servers. restore-ns is the part that reads the snapshot, cpu-ns the CPU time of the process.
func BenchmarkStartFromAMillionPins(b *testing.B) {
	const n = 1_000_000
	_, urls := startSims(b, 4, sim.Config{})
	path := filepath.Join(b.TempDir(), "pins")
	cfg := func(c *config.Config) {
		named(c)
		c.Session.Pins.Max, c.Session.Pins.Snapshot = 2*n, path
	}
	first := startTether(b, cfg, urls...)
	table, now := first.app.registry.Table(), time.Now()
	for i := range n {
		key := identity.Key{Hi: uint64(i) * 0x9e3779b97f4a7c15, Lo: uint64(i) + 1}
		first.app.pins.Set(key, table.Members[i%4].Ref(), now.Add(-time.Duration(n-i)*time.Millisecond))
	}
	first.stop(false)
	var restored, used time.Duration
	for b.Loop() {
		before := cpuTime(b)
		s := startTether(b, cfg, urls...)
		for s.get("/readyz", nil) != http.StatusOK {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		used += cpuTime(b) - before
		line := s.logs.FilterMessage("pins restored").All()
		if len(line) != 1 || line[0].ContextMap()["pins"] != int64(n) || s.app.pins.Stats().Pins != n {
			b.Fatalf("%v", line)
		}
		restored += line[0].ContextMap()["took"].(time.Duration)
		s.stop(false)
		b.StartTimer()
	}
	b.ReportMetric(float64(restored)/float64(b.N), "restore-ns/op")
	b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
}

// cpuTime is the CPU time that the process has used.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
