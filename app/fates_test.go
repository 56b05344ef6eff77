package app

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tether/config"
	"tether/session/fates"
	"tether/sim"
)

// fateTurns returns the number of turns that the fates of prompts are compared over.
func fateTurns() int {
	if detector {
		return 1_000
	}
	return 5_000
}

// fateWorld is conversations over simulated servers whose caches are too small, behind a tether. It keeps account of where the servers
// computed what, and which process they were at the time: with what the servers know of their evictions that is the truth.
type fateWorld struct {
	*running
	client *http.Client
	sims   []*sim.Server
	names  map[string]int
	lives  []int // how often each server was killed
	random *rand.Rand
	talks  []*fateTalk
	truth  map[string]truth // by request id
	turns  int
}

// fateTalk is a conversation.
type fateTalk struct {
	id       int
	messages []string
	prompt   int // tokens of the last prompt
	computed map[int]computed
}

// computed is the last prompt of a conversation that a server computed in one of its lives.
type computed struct{ life, prompt int }

// truth is what became of the tokens of a prompt.
type truth struct {
	fate   string
	prompt int
	lost   map[string]int
}

const fateBlock = 16

func newFateWorld(t *testing.T) *fateWorld {
	w := &fateWorld{names: map[string]int{}, random: rand.New(rand.NewPCG(3, 4)), truth: map[string]truth{}, client: &http.Client{Timeout: patience}}
	t.Cleanup(w.client.CloseIdleConnections)
	var urls []string
	w.sims, urls = startSims(t, 4, sim.Config{CacheBlocks: 2_000, BlockSize: fateBlock})
	w.lives = make([]int, len(w.sims))
	for i := range w.sims {
		w.names[fmt.Sprintf("vllm-%d", i)] = i
	}
	w.running = startTether(t, func(cfg *config.Config) {
		cfg.Log.Access = "all"
		for i := range cfg.Upstreams {
			cfg.Upstreams[i].Name = fmt.Sprintf("vllm-%d", i)
		}
	}, urls...)
	for i := range w.sims {
		w.await(i, "up")
	}
	for range 90 {
		w.talks = append(w.talks, &fateTalk{})
		w.begin(len(w.talks) - 1)
	}
	return w
}

// begin begins another conversation in place of the n-th.
func (w *fateWorld) begin(n int) {
	w.talks[n] = &fateTalk{id: w.random.IntN(1 << 40), computed: map[int]computed{}}
}

// words is text of about as many tokens, a different one each time.
func (w *fateWorld) words(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%03d ", w.random.IntN(1000))
	}
	return b.String()
}

// answer is what a server says of a turn.
type answer struct {
	server         int
	text           string
	prompt, cached int
	evicted        int // tokens that were not cached because the server had evicted them
}

// ask sends messages under the id of a conversation.
func (w *fateWorld) ask(talk *fateTalk, messages string) (id string, a answer) {
	w.t.Helper()
	w.turns++
	id = fmt.Sprint("turn-", w.turns)
	before := make([]uint64, len(w.sims))
	for i, s := range w.sims {
		before[i] = s.Stats().Evicted
	}
	body := fmt.Sprintf(`{"model":"tiny","max_tokens":24,"messages":[%s]}`, messages)
	res, err := w.client.Do(w.request("POST", "/v1/chat/completions", body, "X-Session-Id", fmt.Sprint("s-", talk.id), "X-Request-Id", id))
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	var read struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Prompt  int `json:"prompt_tokens"`
			Details struct {
				Cached int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	if err != nil || res.StatusCode != 200 || json.Unmarshal(text, &read) != nil {
		w.t.Fatalf("%v, %d: %s", err, res.StatusCode, text)
	}
	at := w.names[res.Header.Get("X-Sim-Server")]
	return id, answer{at, read.Choices[0].Message.Content, read.Usage.Prompt, read.Usage.Details.Cached, int(w.sims[at].Stats().Evicted - before[at])}
}

// title asks for a title, under the id of a conversation and by a prompt of its own.
func (w *fateWorld) title(talk *fateTalk) {
	id, a := w.ask(talk, fmt.Sprintf(`{"role":"user","content":"A title please: %s"}`, w.words(w.random.IntN(2_000))))
	w.truth[id] = w.truthOf(&fateTalk{}, a)
}

// turn takes a turn of a conversation, and notes what is true of it.
func (w *fateWorld) turn(talk *fateTalk) {
	said := 30 + w.random.IntN(150)
	if len(talk.messages) == 0 {
		said += 300
	}
	talk.messages = append(talk.messages, fmt.Sprintf(`{"role":"user","content":"%s"}`, w.words(said)))
	id, a := w.ask(talk, strings.Join(talk.messages, ","))
	w.truth[id] = w.truthOf(talk, a)
	reply, _ := json.Marshal(a.text)
	talk.messages = append(talk.messages, fmt.Sprintf(`{"role":"assistant","content":%s}`, reply))
	talk.prompt, talk.computed[a.server] = a.prompt, computed{w.lives[a.server], a.prompt}
}

// truthOf says what became of a prompt: the tokens of the last one that are not cached were evicted, or were computed here by a process that
// is gone, or were never here.
func (w *fateWorld) truthOf(talk *fateTalk, a answer) truth {
	missing := talk.prompt - a.cached
	if missing <= 2*fateBlock {
		fate := "new"
		if a.cached >= a.prompt-a.cached {
			fate = "hit"
		}
		return truth{fate, a.prompt, map[string]int{}}
	}
	evicted := min(a.evicted, missing)
	here, restarted := talk.computed[a.server], 0
	if here.life != w.lives[a.server] {
		restarted = min(max(0, here.prompt-a.cached), missing-evicted)
	}
	lost := map[string]int{"evicted": evicted, "restarted": restarted, "moved": missing - evicted - restarted}
	fate := "moved"
	for _, f := range []string{"evicted", "restarted"} {
		if lost[f] > lost[fate] {
			fate = f
		}
	}
	return truth{fate, a.prompt, lost}
}

// some takes n turns of conversations. Some conversations are much more active than others, and long ones end.
func (w *fateWorld) some(n int) {
	for range n {
		at := int(float64(len(w.talks)) * w.random.Float64() * w.random.Float64())
		if w.turn(w.talks[at]); w.talks[at].prompt > 3_500 {
			w.begin(at)
		} else if w.turns%10 == 0 {
			w.title(w.talks[at])
		}
	}
}

// kill kills a server. Its process is another one when it is back.
func (w *fateWorld) kill(n int) {
	w.sims[n].Kill()
	w.lives[n]++
}

func (w *fateWorld) restart(n int) {
	w.t.Helper()
	if err := w.sims[n].Restart(); err != nil {
		w.t.Fatal(err)
	}
}

// awaitPage waits until the page of metrics of server n is read again. Until then, a server that has come back counts as another process already.
func (w *fateWorld) awaitPage(n int) {
	w.t.Helper()
	began := time.Now()
	for deadline := began.Add(patience); ; w.upstreams() {
		if l, known := w.app.registry.Table().Members[n].EngineLoad(time.Now()); known && l.At.After(began) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the page of metrics was never read")
		}
	}
}

func (w *fateWorld) operate(path, body string) {
	w.t.Helper()
	res, err := http.Post("http://"+w.admin+path, "application/json", strings.NewReader(body))
	if err != nil || res.StatusCode >= 300 {
		w.t.Fatalf("%s: %v, %v", path, res, err)
	}
	res.Body.Close()
}

// What tether says of prompts agrees with the truth, over evictions, kills, restarts, drains and moves.
func TestFatesAreTrue(t *testing.T) {
	w := newFateWorld(t)
	for round := 0; w.turns < fateTurns(); round++ {
		w.some(150)
		n := round % len(w.sims)
		name := fmt.Sprintf("vllm-%d", n)
		switch round % 5 {
		case 0: // away for a while: its conversations go elsewhere, and it comes back empty
			w.kill(n)
			w.await(n, "down")
			w.some(60)
			w.restart(n)
			w.await(n, "up")
		case 1: // back before anything was sent there: its conversations are still pinned there
			w.kill(n)
			w.await(n, "down")
			w.restart(n)
			w.await(n, "up")
		case 2:
			w.operate("/api/upstreams/"+name+"/drain?mode=hard", "")
			w.some(60)
			w.operate("/api/upstreams/"+name+"/undrain", "")
		case 3:
			for _, talk := range w.talks[:20] {
				if talk.prompt > 0 {
					w.operate(fmt.Sprintf("/api/sessions/s-%d/move?to=%s", talk.id, name), "")
				}
			}
		case 4: // so fast that no probe notices
			w.awaitPage(n)
			before := w.app.registry.Table().Members[n].Process()
			w.kill(n)
			w.restart(n)
			w.some(10) // before the page of metrics is read again
			for deadline := time.Now().Add(patience); w.app.registry.Table().Members[n].Process() == before; w.upstreams() {
				if time.Now().After(deadline) {
					t.Fatal("another process was never noticed")
				}
			}
		}
	}
	w.compare()
}

// compare compares what tether logged and counted with the truth.
func (w *fateWorld) compare() {
	w.awaitRequests(float64(w.turns))
	counted := map[fates.Fate]int64{}
	w.app.metrics.Fates.Each(time.Now(), func(_ string, total, _ fates.Counts) {
		for f, n := range total.Tokens {
			counted[fates.Fate(f)] += n
		}
	})
	w.stop(false)
	agree, says, wrong := 0, map[string]int{}, map[string]int{}
	lost, all := map[string]int{}, 0
	for _, line := range w.logs.access.all(w.t) {
		is, ok := w.truth[line["request_id"].(string)]
		if !ok {
			w.t.Fatalf("a line of an unknown turn: %v", line)
		}
		all += is.prompt
		for fate, n := range is.lost {
			lost[fate] += n
		}
		got := line["fate"].(string)
		if says[got]++; got == is.fate {
			agree++
		} else {
			wrong[is.fate+" is called "+got]++
		}
		if (got == "moved") != (line["moved_by"] != "") {
			w.t.Errorf("%v", line)
		}
	}
	share := float64(agree) / float64(len(w.truth))
	w.t.Logf("%d turns, %.2f %% agree: %v; not: %v", len(w.truth), 100*share, says, wrong)
	if share < 0.98 || len(w.truth) < fateTurns() {
		w.t.Errorf("%.2f %% of %d turns agree with the truth, want 98 %%", 100*share, len(w.truth))
	}
	for _, fate := range []string{"hit", "new", "moved", "evicted", "restarted"} {
		if says[fate] < len(w.truth)/100 {
			w.t.Errorf("only %d turns are %s: the test shows nothing about it", says[fate], fate)
		}
	}
	for f, want := range lost {
		got := 0
		for at, word := range fates.Words {
			if word == f {
				got = int(counted[fates.Fate(at)])
			}
		}
		w.t.Logf("%s: %.2f %% of the tokens, in truth %.2f %%", f, 100*float64(got)/float64(all), 100*float64(want)/float64(all))
		if off := float64(got-want) / float64(all); off > 0.01 || off < -0.01 {
			w.t.Errorf("%s: %d tokens, in truth %d, of %d", f, got, want, all)
		}
	}
}
