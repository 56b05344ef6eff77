package app

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/sim"
	"tether/sim/fault"
)

// post sends a body to a path, and returns the answer.
func (s *running) post(path, body string) (res *http.Response, answer []byte, err error) {
	res, err = http.Post("http://"+s.addr+path, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res, answer, err
}

// Conversations that begin while a process hands over are where they began: the old process, which answers them, tells the new one where sessions
// and stored responses are, and what it has learned of prompts.
func TestChangesAfterAHandover(t *testing.T) {
	sims, urls := startSims(t, 3, sim.Config{})
	path := filepath.Join(t.TempDir(), "handover")
	first := handing(t, path, urls...)
	for _, s := range sims {
		if err := s.Inject(fault.Fault{Kind: fault.Hang}); err != nil {
			t.Fatal(err)
		}
	}
	prompt := func(i int) string {
		return fmt.Sprintf("Conversation %d is written into its prompt, and has no id.", i)
	}
	type begun struct{ server, response string }
	all := make([]begun, 9)
	var waiting sync.WaitGroup
	for i := range all {
		waiting.Go(func() {
			path, body := "/v1/chat/completions", fmt.Sprintf(`{"session_id":"chat-%d","messages":[{"role":"user","content":"x"}],"max_tokens":1}`, i)
			switch i % 3 {
			case 1:
				path, body = "/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":1}`, prompt(i))
			case 2:
				path, body = "/v1/responses", fmt.Sprintf(`{"input":"response %d"}`, i)
			}
			res, answer, err := first.post(path, body)
			if err != nil || res.StatusCode != 200 {
				t.Errorf("%v, %s", err, answer)
				return
			}
			var made struct{ ID string }
			_ = json.Unmarshal(answer, &made)
			all[i] = begun{res.Header.Get("X-Sim-Server"), made.ID}
		})
	}
	for deadline := time.Now().Add(patience); held(sims) < len(all); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests hang, want %d", held(sims), len(all))
		}
	}
	second := handing(t, path, urls...)
	first.logs.awaitLine(t, "a new process has taken over")
	for _, s := range sims {
		s.ClearFaults()
	}
	waiting.Wait()
	first.logs.awaitLine(t, "stopped")
	second.logs.awaitLine(t, "the old process has told all that it learned")
	for i, b := range all {
		path, body := "/v1/chat/completions", fmt.Sprintf(`{"session_id":"chat-%d","messages":[{"role":"user","content":"x"}],"max_tokens":1}`, i)
		switch i % 3 {
		case 1:
			path, body = "/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":1}`, prompt(i)+strings.Repeat(" And it goes on.", 30))
		case 2:
			path, body = "/v1/responses", fmt.Sprintf(`{"input":"and?","previous_response_id":%q}`, b.response)
		}
		res, answer, err := second.post(path, body)
		if err != nil || res.StatusCode != 200 || res.Header.Get("X-Sim-Server") != b.server || res.Header.Get("X-Tether-Affinity") != "pinned" {
			t.Errorf("conversation %d, begun as %+v: %v, %v, %s", i, b, err, res.Header, answer)
		}
	}
}

// A process that hands over while the one before it still answers requests tells its own successor what that one learns, and ends after it.
func TestChangesOverTwoHandovers(t *testing.T) {
	for what, busy := range map[string]int{"without requests of its own": 0, "with requests of its own": 2} {
		t.Run(what, func(t *testing.T) { handOverTwice(t, busy) })
	}
}

// handOverTwice hands over twice while the first process has six requests, and the second one has busy ones.
func handOverTwice(t *testing.T, busy int) {
	sims, urls := startSims(t, 3, sim.Config{})
	path := filepath.Join(t.TempDir(), "handover")
	hold := func() {
		for _, s := range sims {
			if err := s.Inject(fault.Fault{Kind: fault.Hang}); err != nil {
				t.Fatal(err)
			}
		}
	}
	hold()
	var waiting sync.WaitGroup
	type begun struct{ server, response string }
	all := make([]begun, 12)
	begin := func(at *running, from, to int) {
		for i := from; i < to; i++ {
			waiting.Go(func() {
				res, answer, err := at.post("/v1/responses", fmt.Sprintf(`{"input":"response %d","session_id":"chat-%d"}`, i, i))
				if err != nil || res.StatusCode != 200 {
					t.Errorf("%v, %s", err, answer)
					return
				}
				var made struct{ ID string }
				_ = json.Unmarshal(answer, &made)
				all[i] = begun{res.Header.Get("X-Sim-Server"), made.ID}
			})
		}
		for deadline := time.Now().Add(patience); held(sims) < to; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d requests hang, want %d", held(sims), to)
			}
		}
	}
	first := handing(t, path, urls...)
	begin(first, 0, 6)
	second := handing(t, path, urls...)
	first.logs.awaitLine(t, "a new process has taken over")
	begin(second, 6, 6+busy)
	third := handing(t, path, urls...)
	second.logs.awaitLine(t, "a new process has taken over")
	begin(third, 6+busy, len(all))
	second.logs.awaitLine(t, "shutting down: requests in flight may finish")
	for _, s := range sims {
		s.ClearFaults()
	}
	waiting.Wait()
	first.logs.awaitLine(t, "stopped")
	second.logs.awaitLine(t, "stopped")
	third.logs.awaitLine(t, "the old process has told all that it learned")
	for i, b := range all {
		for what, body := range map[string]string{
			"session": fmt.Sprintf(`{"input":"and?","session_id":"chat-%d"}`, i), "response": fmt.Sprintf(`{"input":"and?","previous_response_id":%q}`, b.response),
		} {
			res, answer, err := third.post("/v1/responses", body)
			if err != nil || res.StatusCode != 200 || res.Header.Get("X-Sim-Server") != b.server || res.Header.Get("X-Tether-Affinity") != "pinned" {
				t.Errorf("%s %d, begun as %+v: %v, %v, %s", what, i, b, err, res.Header, answer)
			}
		}
	}
}

// held is the number of requests that faults hold.
func held(sims []*sim.Server) (n int) {
	for _, s := range sims {
		n += s.Load().Held
	}
	return n
}

// A new process uses batches that are whole and its own, and nothing else.
func TestReceiveBatch(t *testing.T) {
	_, urls := startSims(t, 1, sim.Config{})
	s := handing(t, filepath.Join(t.TempDir(), "handover"), urls...)
	batch := func(size uint32, text string) io.Reader {
		return strings.NewReader(string(binary.LittleEndian.AppendUint32(nil, size)) + text)
	}
	for what, c := range map[string]struct {
		from io.Reader
		want string
	}{
		"the end":  {strings.NewReader(""), "EOF"},
		"half":     {batch(100, "tether's"), "unexpected EOF"},
		"too long": {batch(1<<31, ""), "a batch of 2147483648 bytes, want at most 1073741824"},
		"foreign":  {batch(5, "hello"), "is no snapshot of pins"},
	} {
		if n, err := receiveBatch(t.Context(), bufio.NewReader(c.from), s.app); n != 0 || fmt.Sprint(err) != c.want {
			t.Errorf("%s: %d, %v, want %s", what, n, err, c.want)
		}
	}
}
