// Package vllm runs tether in front of real vLLM servers, which servers.sh starts (make test-vllm). Its tests are skipped without
// them.
package vllm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"tether/e2e/binary"
	"tether/e2e/live"
)

// patience bounds every wait of these tests. None is expected to take that long.
const patience = 60 * time.Second

// server is a real vLLM server.
type server struct {
	url string
	pid int
}

// servers returns the running servers. It skips the test if there are fewer than two.
func servers(t *testing.T) []server {
	t.Helper()
	list := listed()
	if len(list) < 2 {
		t.Skip("no vLLM servers: make test-vllm starts them")
	}
	return list
}

// listed returns the servers of VLLM_SERVERS.
func listed() (list []server) {
	for _, line := range strings.Split(strings.TrimSpace(os.Getenv("VLLM_SERVERS")), "\n") {
		var port, pid int
		if _, err := fmt.Sscan(line, &port, &pid); err == nil {
			list = append(list, server{fmt.Sprintf("http://127.0.0.1:%d", port), pid})
		}
	}
	return list
}

// metric returns the sum of a metric over all labels.
func (s server) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, name+"{") {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// start runs tether in front of the servers.
func start(t *testing.T, list []server, args ...string) *binary.Tether {
	t.Helper()
	var urls []string
	for _, s := range list {
		urls = append(urls, s.url)
	}
	return binary.Run(t, urls, args...)
}

func clientOf(p *binary.Tether) openai.Client {
	return openai.NewClient(option.WithBaseURL(p.URL+"/v1"), option.WithAPIKey("sk-test"), option.WithMaxRetries(0))
}

const (
	conversations = 20
	turns         = 6
	blockSize     = 32
	atOnce        = 4
)

// result is what vLLM counted over the later turns of conversations, and how long the clients waited.
type result struct {
	turns, hits     int // later turns, and those with all of the previous turn but its last block in the cache
	prompt, cached  int64
	firstTokenJSON  []time.Duration // until the whole answer
	firstTokenSSE   []time.Duration // until the first token
	firstTokenTurn0 []time.Duration
}

// converse holds growing conversations without a session id. Answers are JSON and streamed in turn.
func converse(t *testing.T, p *binary.Tether, tag string) (sum result) {
	client := clientOf(p)
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for c := next.Add(1); c <= conversations; c = next.Add(1) {
				r, err := conversation(t.Context(), client, fmt.Sprintf("%s, conversation %d", tag, c))
				if err != nil {
					t.Errorf("%s, conversation %d: %v", tag, c, err)
					return
				}
				mu.Lock()
				sum.turns += r.turns
				sum.hits += r.hits
				sum.prompt += r.prompt
				sum.cached += r.cached
				sum.firstTokenJSON = append(sum.firstTokenJSON, r.firstTokenJSON...)
				sum.firstTokenSSE = append(sum.firstTokenSSE, r.firstTokenSSE...)
				sum.firstTokenTurn0 = append(sum.firstTokenTurn0, r.firstTokenTurn0...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum
}

func conversation(ctx context.Context, client openai.Client, name string) (r result, err error) {
	params := openai.ChatCompletionNewParams{
		Model: "tiny", MaxTokens: openai.Int(4),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("Be brief. " + name),
			openai.UserMessage(text(name, 0)),
		},
	}
	before := int64(0)
	for turn := range turns {
		var usage openai.CompletionUsage
		var answer string
		started := time.Now()
		first := time.Duration(0)
		if turn%2 == 0 {
			json := params
			json.StreamOptions = openai.ChatCompletionStreamOptionsParam{}
			res, err := client.Chat.Completions.New(ctx, json)
			if err != nil {
				return r, fmt.Errorf("turn %d: %w", turn, err)
			}
			first, usage, answer = time.Since(started), res.Usage, res.Choices[0].Message.Content
		} else {
			stream := client.Chat.Completions.NewStreaming(ctx, params)
			for stream.Next() {
				if first == 0 {
					first = time.Since(started)
				}
				chunk := stream.Current()
				if chunk.Usage.TotalTokens > 0 {
					usage = chunk.Usage
				}
				if len(chunk.Choices) > 0 {
					answer += chunk.Choices[0].Delta.Content
				}
			}
			if err := stream.Err(); err != nil {
				return r, fmt.Errorf("turn %d: %w", turn, err)
			}
		}
		cached := usage.PromptTokensDetails.CachedTokens
		switch {
		case turn == 0:
			r.firstTokenTurn0 = append(r.firstTokenTurn0, first)
		case turn%2 == 0:
			r.firstTokenJSON = append(r.firstTokenJSON, first)
		default:
			r.firstTokenSSE = append(r.firstTokenSSE, first)
		}
		if turn > 0 {
			r.turns++
			r.prompt += usage.PromptTokens
			r.cached += cached
			if cached >= (before-1)/blockSize*blockSize {
				r.hits++
			}
		}
		before = usage.PromptTokens
		params.Messages = append(params.Messages, openai.AssistantMessage(answer), openai.UserMessage(text(name, turn+1)))
	}
	return r, nil
}

// text returns a message of a user: about 80 bytes, which are as many tokens.
func text(name string, turn int) string {
	return fmt.Sprintf("%s, turn %d: please think, and go on.", name, turn)
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, int(q*float64(len(d))))].Round(time.Millisecond)
}

// The official client has no session id. By vLLM's own count, nearly every later turn finds the previous turn in the cache. The test
// also prints the figures without affinity.
func TestAffinity(t *testing.T) {
	list := servers(t)
	table := "\n                      with affinity    without (round robin)\n"
	row := func(name string, value func(result) any, on, off result) {
		table += fmt.Sprintf("  %-20s%14v%25v\n", name, value(on), value(off))
	}
	off := converse(t, start(t, list, "--affinity", "off"), "without affinity")
	on := converse(t, start(t, list), "with affinity")
	row("later turns that hit", func(r result) any { return fmt.Sprintf("%d of %d", r.hits, r.turns) }, on, off)
	row("prompt tokens cached", func(r result) any { return fmt.Sprintf("%.1f %%", 100*float64(r.cached)/float64(r.prompt)) }, on, off)
	row("first token p50", func(r result) any { return quantile(r.firstTokenSSE, 0.5) }, on, off)
	row("first token p99", func(r result) any { return quantile(r.firstTokenSSE, 0.99) }, on, off)
	row("JSON answer p50", func(r result) any { return quantile(r.firstTokenJSON, 0.5) }, on, off)
	row("JSON answer p99", func(r result) any { return quantile(r.firstTokenJSON, 0.99) }, on, off)
	t.Log(table)
	if want := conversations * (turns - 1); on.turns != want {
		t.Fatalf("%d later turns, want %d", on.turns, want)
	}
	if share := float64(on.hits) / float64(on.turns); share < 0.95 {
		t.Errorf("%.1f %% of the later turns found the previous turn in the cache, want 95 %%", 100*share)
	}
	if off.hits >= on.hits {
		t.Error("affinity makes no difference: this test proves nothing")
	}
}

// ranked runs tether in front of servers that are configured to have this number of ranks each.
func ranked(t *testing.T, list []server, ranks int) *binary.Tether {
	t.Helper()
	text := "proxy: { expose_upstream: true }\nupstreams:\n"
	for i, s := range list {
		text += fmt.Sprintf("  - { name: vllm-%d, url: %q, data_parallel_ranks: %d }\n", i, s.url, ranks)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, nil, "-c", file)
}

// Each rank of a server has a cache. By vLLM's own count, conversations find their cache if tether names the rank, and seldom if vLLM
// spreads the requests itself.
func TestRanksOfOneServer(t *testing.T) {
	list := listed()
	ranks, err := strconv.Atoi(os.Getenv("VLLM_RANKS"))
	if err != nil || ranks < 2 || len(list) == 0 {
		t.Skip("no vLLM server with data-parallel ranks: make test-vllm-ranks starts one")
	}
	off := converse(t, start(t, list), "without ranks")
	on := converse(t, ranked(t, list, ranks), "with ranks")
	for name, r := range map[string]result{"ranks named": on, "ranks not named": off} {
		t.Logf("%s: %d of %d later turns hit, %.1f %% of prompt tokens cached", name, r.hits, r.turns, 100*float64(r.cached)/float64(r.prompt))
	}
	if share := float64(on.hits) / float64(on.turns); on.turns != conversations*(turns-1) || share < 0.95 {
		t.Errorf("%.1f %% of %d later turns found the previous turn in the cache, want 95 %%", 100*share, on.turns)
	}
	if off.hits >= on.hits {
		t.Error("naming the rank makes no difference: this test proves nothing")
	}
}

// A request names its rank. vLLM accepts the rank that it has, and answers that another one is out of range.
func TestRanksOutOfRange(t *testing.T) {
	list := servers(t)
	for ranks := 1; ranks <= 2; ranks++ {
		p := ranked(t, list, ranks)
		answers := map[string]int{}
		for n := range 24 {
			body := fmt.Sprintf(`{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"Of %d ranks, conversation %d"}]}`, ranks, n)
			res, err := http.Post(p.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			upstream := res.Header.Get("X-Tether-Upstream")
			want, text := 200, `"finish_reason"`
			if strings.HasSuffix(upstream, "@1") {
				want, text = 400, "data_parallel_rank 1 is out of range [0, 1)."
			}
			if res.StatusCode != want || !strings.Contains(string(answer), text) {
				t.Errorf("%s: %d %s, want %d", upstream, res.StatusCode, answer, want)
			}
			answers[upstream]++
		}
		t.Logf("conversations by upstream: %v", answers)
		if len(answers) != len(list)*ranks {
			t.Errorf("%d ranks of %d servers: answers of %v", ranks, len(list), answers)
		}
	}
}

// A client leaves while vLLM generates its answer. vLLM stops.
func TestClientLeaves(t *testing.T) {
	list := servers(t)
	p := start(t, list)
	running := func() (n float64) {
		for _, s := range list {
			n += s.metric(t, "vllm:num_requests_running")
		}
		return n
	}
	for name, stream := range map[string]bool{"JSON": false, "SSE": true} {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			body := fmt.Sprintf(`{"model":"tiny","stream":%v,"max_tokens":12000,"ignore_eos":true,"messages":[{"role":"user","content":"Count. %s"}]}`, stream, name)
			req, err := http.NewRequestWithContext(ctx, "POST", p.URL+"/v1/chat/completions", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			done := make(chan error, 1)
			go func() {
				res, err := http.DefaultClient.Do(req)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				done <- err
			}()
			for deadline := time.Now().Add(patience); running() == 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no request runs")
				}
			}
			leave()
			left := time.Now()
			if err := <-done; err == nil {
				t.Fatal("the answer was complete before the client left")
			}
			for running() > 0 {
				if time.Since(left) > 300*time.Millisecond {
					t.Fatalf("still running %v after its client left", time.Since(left))
				}
			}
			t.Logf("no request runs %v after the client left", time.Since(left).Round(time.Millisecond))
		})
	}
}

// A chain of stored responses has only the id of the previous response. Each turn and each look-up reaches the server that has the
// response, also under an alias of the model. Another server would answer 404.
func TestChains(t *testing.T) {
	list := servers(t)
	t.Setenv("TETHER_MODELS_ALIASES", "gpt-4o=tiny")
	lost := func(p *binary.Tether) (lost, asked int) {
		client := clientOf(p)
		for chain := range 4 {
			params := responses.ResponseNewParams{Model: "gpt-4o", MaxOutputTokens: openai.Int(4)}
			for turn := range 10 {
				params.Input.OfString = openai.String(fmt.Sprintf("Chain %d, turn %d.", chain, turn))
				id, err := respond(t.Context(), client, params, turn%2 == 1)
				if asked++; err == nil {
					asked++
					_, err = client.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
				}
				var answer *openai.Error
				switch {
				case errors.As(err, &answer) && answer.StatusCode == 404:
					lost++
				case err != nil:
					t.Fatalf("chain %d, turn %d: %v", chain, turn, err)
				}
				if id != "" {
					params.PreviousResponseID = openai.String(id)
				}
			}
		}
		return lost, asked
	}
	without, _ := lost(start(t, list, "--affinity", "off"))
	with, asked := lost(start(t, list))
	t.Logf("%d of %d requests lost their response, without affinity %d", with, asked, without)
	if with != 0 || without == 0 {
		t.Error("want no lost response, and some without affinity")
	}
}

// respond makes a response and returns its id.
func respond(ctx context.Context, client openai.Client, params responses.ResponseNewParams, streamed bool) (id string, err error) {
	if !streamed {
		res, err := client.Responses.New(ctx, params)
		if err != nil {
			return "", err
		}
		return res.ID, nil
	}
	stream := client.Responses.NewStreaming(ctx, params)
	for stream.Next() {
		if e := stream.Current(); e.Type == "response.completed" || e.Type == "response.incomplete" {
			id = e.Response.ID
		}
	}
	return id, stream.Err()
}

// Both servers are restarted under steady traffic of JSON and of streams: the first one by SIGTERM, the second one by SIGKILL. No request
// fails. Each stream that the killed server had begun is cut, visibly, and no other. Only the conversations of the server that restarts move. This
// test is the last one of its folder, because the servers that it starts end with it.
func TestRollingRestart(t *testing.T) {
	list := servers(t)[:2]
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("proxy: { expose_upstream: true }\nupstreams:\n  - { name: a, url: %q }\n  - { name: b, url: %q }\n", list[0].url, list[1].url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := binary.Run(t, nil, "-c", file)
	const all = 12
	c := live.Start(t, p.URL, "X-Tether-Upstream", all)
	c.GoOn(3)
	table := "\n  restarted by       had   moved     cut\n"
	for i, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		name := string(rune('a' + i))
		on := c.GoOn(1)
		command := commandOf(t, list[i].pid)
		for deadline := time.Now().Add(patience); list[i].metric(t, "vllm:num_requests_running") == 0; {
			if time.Now().After(deadline) {
				t.Fatal("the server never had a request running to be stopped in")
			}
		}
		engine := childrenOf(list[i].pid)
		signalled := time.Now()
		if err := syscall.Kill(list[i].pid, how); err != nil {
			t.Fatal(err)
		}
		if how == syscall.SIGKILL {
			for _, pid := range engine {
				_ = syscall.Kill(pid, how) // it may have ended by itself
			}
		}
		awaitEnd(t, list[i])
		ended := time.Since(signalled)
		c.GoOn(3)
		command.start(t, list[i])
		p.Await(t, fmt.Sprintf("tether_upstream_up{upstream=%q}", name), time.Minute, func(v float64) bool { return v == 1 })
		c.GoOn(2)
		moved, cut := c.MovedWithin(2), c.TakeCuts()
		if moved[name] != on[name] || len(moved) != 1 || on[name] == 0 {
			t.Errorf("%s had %d conversations, and these moved: %v", name, on[name], moved)
		}
		if n := cut[name]; how == syscall.SIGTERM && len(cut) > 0 || n > on[name] || len(cut) > 1 {
			t.Errorf("%v ended %s, and these streams were cut: %v", how, name, cut)
		}
		table += fmt.Sprintf("  %s %-13s%5d%8d%8d   port refused after %v, up again after %v\n", name, how, on[name], moved[name], cut[name],
			ended.Round(100*time.Millisecond), time.Since(signalled).Round(time.Second))
	}
	t.Log(table)
	c.End()
}
