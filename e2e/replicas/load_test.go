package replicas

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/session/store/storetest"
)

// holding starts a server that names itself in X-Sim-Server and answers requests with X-Hold once they are released, and returns its URL.
func holding(t *testing.T, name string, released <-chan struct{}) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("X-Hold") != "" {
			<-released
		}
		w.Header().Set("X-Sim-Server", name)
		_, _ = io.WriteString(w, "{}")
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return "http://" + l.Addr().String()
}

// turnOf serves a turn of a session with a prompt of some 4,000 tokens, and returns the server.
func turnOf(f *fleet, p *binary.Tether, id string, hold bool) string {
	body := `{"model":"tiny","stream":true,"messages":[{"role":"user","content":"` + strings.Repeat("hello ", 2700) + `"}]}`
	req, err := http.NewRequest("POST", p.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		f.t.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", id)
	if hold {
		req.Header.Set("X-Hold", "yes")
	}
	res, err := f.client.Do(req)
	if err != nil {
		f.t.Error(err)
		return ""
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
		f.t.Errorf("%d %v", res.StatusCode, err)
	}
	return res.Header.Get("X-Sim-Server")
}

// What one replica sends to a server, another one counts when it places a conversation, until the prompts are computed.
func TestLoadOfAnotherReplica(t *testing.T) {
	server := storetest.Start(t, storetest.Programs(t)[0])
	secret, file := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "tether.yaml")
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	text := fmt.Sprintf("models: { prefill_rate: { tiny: 16000 } }\nupstreams: [{ name: a, url: %q, models: [tiny] }, { name: b, url: %q, models: [tiny] }]\nsession: { secret_file: %s, store: { url: 'redis://%s' } }\n",
		holding(t, "a", released), holding(t, "b", released), secret, server.Addr)
	for name, content := range map[string]string{secret: "the secret of all replicas", file: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	busy, other := binary.Run(t, nil, "-c", file), binary.Run(t, nil, "-c", file)
	t.Cleanup(release) // before the tethers end
	f := &fleet{t: t, client: http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
	count := 0
	fresh := func() (id string) { // of a session whose home is a
		for {
			count++
			if id = fmt.Sprint("talk-", count); f.lookUp(other, id).Upstream == "a" {
				return id
			}
		}
	}
	other.Await(t, "tether_store_load_replicas", patience, func(v float64) bool { return v == 1 })
	if at := turnOf(f, other, fresh(), false); at != "a" {
		t.Fatalf("a conversation begins at %s while all is idle", at)
	}
	var held sync.WaitGroup
	for range 10 {
		id := fresh()
		if at := turnOf(f, busy, id, false); at != "a" {
			t.Fatalf("a conversation begins at %s while all is idle", at)
		}
		held.Go(func() { turnOf(f, busy, id, true) })
	}
	begins := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(patience); turnOf(f, other, fresh(), false) != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("conversations do not begin at %s", want)
			}
		}
	}
	begins("b")
	release()
	held.Wait()
	begins("a")
}
