package vllm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// One giant conversation keeps a server busy. Small ones that are pinned there wait for it if they cannot move, and little if they can.
func TestGiantAmongSmallOnes(t *testing.T) {
	list := servers(t)
	without, took := besideGiant(t, list, "off", 0)
	if took < 2*time.Second {
		t.Fatalf("the giant took %v: this test proves nothing", took)
	}
	// The time from which on a conversation moves, and the rate, are those of this machine.
	with, _ := besideGiant(t, list, (took / 4).Round(time.Millisecond).String(), giantTokens/took.Seconds())
	t.Logf("the slowest of the small turns waits %v without moves, %v with moves", without, with)
	if with > without/2 {
		t.Error("want at most half with moves")
	}
}

// giantTokens is the length of the giant prompt.
const giantTokens = 15_000

// besideGiant returns the longest wait for the first byte of small conversations that are pinned to the server of a giant one, and the wait of
// the giant. rate is the configured one, 0 for none.
func besideGiant(t *testing.T, list []server, move string, rate float64) (longest, took time.Duration) {
	t.Helper()
	config := "session: { placement: load, move_when_busier_by: " + move + " }"
	if rate > 0 {
		config += fmt.Sprintf("\nmodels: { prefill_rate: { tiny: %.0f } }", rate)
	}
	p := configured(t, list, config)
	began := time.Now().UnixNano() // no cache has the prompts of an earlier run
	name := func(what string) string { return fmt.Sprintf("giant-%d-%s-%s", began, move, what) }
	turn := func(session string, size int) answer {
		a, err := ask(t.Context(), p.URL, session, prompt(session, size), 2, true)
		if err != nil || a.status != 200 {
			t.Errorf("%s: %+v, %v", session, a, err)
		}
		return a
	}
	for i := range 3 {
		turn(name(fmt.Sprint("lesson-", i)), 2000) // tether learns how many bytes make a token
	}
	at := map[string][]string{}
	for i := range 12 {
		small := name(fmt.Sprint("small-", i))
		upstream := turn(small, 200).upstream
		at[upstream] = append(at[upstream], small)
	}

	var all sync.WaitGroup
	defer all.Wait()
	giant := make(chan answer, 1)
	all.Go(func() { giant <- turn(name("giant"), giantTokens) })
	busy := ""
	for deadline := time.Now().Add(patience); busy == ""; time.Sleep(10 * time.Millisecond) {
		for i, s := range list { // vLLM's gauge alone may still count the last small one
			name := fmt.Sprintf("vllm-%d", i)
			if p.Metric(t, fmt.Sprintf("tether_upstream_requests_in_flight{upstream=%q}", name)) > 0 && s.metric(t, "vllm:kv_cache_usage_perc") > 0.01 {
				busy = name
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the giant never ran")
		}
	}
	if len(at[busy]) == 0 {
		t.Fatalf("no small conversation at %s: %v", busy, at)
	}
	waits := make(chan time.Duration, len(at[busy]))
	var small sync.WaitGroup
	for _, session := range at[busy] {
		small.Go(func() {
			a := turn(session, 400)
			if moved := a.upstream != busy; moved != (move != "off") {
				t.Errorf("moves %s: a small conversation of %s was served by %s", move, busy, a.upstream)
			}
			waits <- a.first
		})
	}
	small.Wait()
	close(waits)
	for w := range waits {
		longest = max(longest, w)
	}
	took = (<-giant).first
	t.Logf("moves %s: %d small conversations at the giant's server, the slowest waits %v; the giant %v", move, len(at[busy]), longest, took)
	return longest, took
}

// hang is how long TestHungEngine stops an engine. New conversations are counted from 10 s on.
const hang = 60 * time.Second

// The engine of one of two servers hangs while its /health goes on to be fine. After 10 s at most a twentieth of the new conversations go
// there. All are answered once the engine goes on.
func TestHungEngine(t *testing.T) {
	list := servers(t)
	p := configured(t, list, "session: { placement: load }")
	engines := enginesOf(t, list[0])
	for i := range 6 {
		if _, err := ask(t.Context(), p.URL, fmt.Sprint("before-", i), "Hello.", 2, true); err != nil {
			t.Fatal(err)
		}
	}
	signal := func(s syscall.Signal) {
		for _, pid := range engines {
			if err := syscall.Kill(pid, s); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
	stopped := time.Now()
	var all sync.WaitGroup
	var mu sync.Mutex
	at := map[string]map[string]int{"early": {}, "late": {}}
	for n := 0; time.Since(stopped) < hang; n++ {
		when := "early"
		if time.Since(stopped) >= 10*time.Second {
			when = "late"
		}
		all.Go(func() {
			a, err := ask(t.Context(), p.URL, fmt.Sprintf("hung-%d", n), fmt.Sprintf("Conversation %d. Hello.", n), 2, n%2 == 0)
			if err != nil || a.status != 200 {
				t.Errorf("conversation %d: %+v, %v", n, a, err)
			}
			mu.Lock()
			at[when][a.upstream]++
			mu.Unlock()
		})
		time.Sleep(200 * time.Millisecond)
	}
	signal(syscall.SIGCONT)
	all.Wait()
	early, late := at["early"], at["late"]
	t.Logf("new conversations in the first 10 s: %v; later: %v", early, late)
	if n := late["vllm-0"] + late["vllm-1"]; n < 100 || 20*late["vllm-0"] > n {
		t.Errorf("%d of %d conversations went to the server that hangs", late["vllm-0"], n)
	}
}

// enginesOf returns the processes of the server's engines: its children of that name.
func enginesOf(t *testing.T, s server) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, _ := os.ReadFile(path) // the process may have ended
		before, after, _ := strings.Cut(string(text), ") ")
		pid, comm, _ := strings.Cut(before, " (")
		fields := strings.Fields(after)
		if len(fields) > 1 && strings.HasPrefix(comm, "VLLM::Engine") && fields[1] == strconv.Itoa(s.pid) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
	}
	if len(pids) == 0 {
		t.Fatal("the server has no engine process")
	}
	return pids
}
