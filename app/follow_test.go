package app

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
	"tether/sim/fault"
)

func hashOf(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

// keysFile writes a file of API keys, given as names and keys.
func keysFile(t testing.TB, namesAndKeys ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	writeKeys(t, file, namesAndKeys...)
	return file
}

func writeKeys(t testing.TB, file string, namesAndKeys ...string) {
	t.Helper()
	var text strings.Builder
	for i := 0; i < len(namesAndKeys); i += 2 {
		fmt.Fprintf(&text, "%s %s\n", namesAndKeys[i], hashOf(namesAndKeys[i+1]))
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// New contents of the file are in force without a restart, and wrong contents change nothing. Log and metrics report each
// change once, and show neither keys nor hashes.
func TestKeysAreReloaded(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	file := keysFile(t, "alice", "key-1", "bob", "key-2")
	s := startTether(t, func(c *config.Config) { c.Auth.KeysFile, c.Log.Access = file, "all" }, urls...)
	s.await(0, "up")
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	sent := 0.0
	statuses := func(want map[string]int) {
		t.Helper()
		for key, status := range want {
			res, err := client.Do(s.request("POST", "/v1/chat/completions", hello, "X-Api-Key", key))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if sent++; res.StatusCode != status {
				t.Errorf("%s: %d, want %d", key, res.StatusCode, status)
			}
		}
	}
	statuses(map[string]int{"key-1": 200, "key-2": 200, "key-3": 401})
	writeKeys(t, file, "alice", "key-1", "carol", "key-3")
	s.logs.awaitLine(t, "API keys reloaded")
	statuses(map[string]int{"key-1": 200, "key-2": 401, "key-3": 200})
	writeKeys(t, file, "alice", "key-1", "alice", "key-4")
	s.logs.awaitLine(t, "API keys not reloaded, the previous ones stay in force")
	statuses(map[string]int{"key-1": 200, "key-2": 401, "key-3": 200, "key-4": 401})
	text := s.awaitRequests(sent)
	for _, want := range []string{
		`tether_api_key_requests_total{key="alice"} 3`, `tether_api_key_requests_total{key="carol"} 2`, "tether_api_keys 2",
		`tether_api_key_reloads_total{result="ok"} 1`, `tether_api_key_reloads_total{result="failed"} 1`,
		`tether_request_failures_total{reason="wrong_key"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(text, "bob") {
		t.Error("the series of a removed name is still there")
	}
	s.stop(false)
	callers := map[any]int{}
	for _, line := range s.logs.access.all(t) {
		callers[line["key"]]++
	}
	if callers["alice"] != 3 || callers["bob"] != 1 || callers["carol"] != 2 || callers[""] != 4 {
		t.Errorf("the access log has %v", callers)
	}
	log := s.logs.text() + fmt.Sprint(s.logs.access.all(t))
	if !strings.Contains(log, "open_to:holders of 2 API keys") || !strings.Contains(log, "line 2: the name is that of line 1 already") {
		t.Errorf("the log lacks a line:\n%s", log)
	}
	for _, key := range []string{"key-1", "key-2", "key-3", "key-4"} {
		if strings.Contains(log, key) || strings.Contains(log, hashOf(key)) {
			t.Errorf("%s is in the log", key)
		}
	}
}

// A caller keeps its requests in flight and its spent tokens over a change of the file of keys and over a reload of the configuration, even
// to another file. The limits are those of the file in force.
func TestKeyLimitsStay(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	file, other := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "other")
	write := func(file, limits string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("alice "+hashOf("key")+" "+limits+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "max_in_flight=1 requests_per_minute=3")
	write(other, "max_in_flight=2 requests_per_minute=3")
	c := startConfigured(t, fmt.Sprintf("auth: {keys_file: %q}", file), urls...)
	c.await(0, "up")
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	ask := func() (status int, reason string) {
		res, err := client.Do(c.request("POST", "/v1/chat/completions", hello, "X-Api-Key", "key"))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		return res.StatusCode, string(body)
	}
	refused := func(why string) {
		t.Helper()
		if status, body := ask(); status != 429 || !strings.Contains(body, why) {
			t.Errorf("%d %s, want 429 because of %q", status, body, why)
		}
	}
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	held := make(chan int, 2)
	hold := func(n int) {
		t.Helper()
		go func() {
			status, _ := ask()
			held <- status
		}()
		if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == n }); err != nil {
			t.Fatal(err)
		}
	}
	hold(1)
	refused("in flight")
	write(file, "max_in_flight=1 requests_per_minute=2")
	c.logs.awaitLine(t, "API keys reloaded")
	refused("in flight") // the request from before counts
	c.write(t, fmt.Sprintf("auth: {keys_file: %q}", other), urls...)
	if status, _, problem := c.reload(); status != 200 {
		t.Fatal(problem)
	}
	hold(2) // the other file allows two
	refused("in flight")
	sims[0].ClearFaults()
	for range 2 {
		if status := <-held; status != 200 {
			t.Errorf("status %d within the limit", status)
		}
	}
	c.awaitRequests(5)
	if status, body := ask(); status != 200 {
		t.Errorf("the third request of the minute: %d %s", status, body)
	}
	refused("in a minute") // two tokens were spent under the former file
}
