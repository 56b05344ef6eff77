package app

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tether/config"
	"tether/sim"
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
