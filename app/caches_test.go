package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/config"
	"tether/session/warm"
	"tether/sim"
)

// talks are conversations through a tether, each with a prompt of about 2,000 tokens. Their turns add nothing, so that they stay as long
// as they are.
type talks struct {
	s      *running
	client *http.Client
	said   []string
}

// turns lets the first n conversations have a turn each.
func (c *talks) turns(n int) {
	c.s.t.Helper()
	for len(c.said) < n {
		c.said = append(c.said, fmt.Sprint(len(c.said), strings.Repeat(" all work and no play", 300)))
	}
	for i := range n {
		req := c.s.request("POST", "/v1/chat/completions", `{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"`+c.said[i]+`"}]}`,
			"X-Session-Id", fmt.Sprint("talk-", i))
		res, err := c.client.Do(req)
		if err != nil {
			c.s.t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			c.s.t.Fatal(res.Status)
		}
	}
}

// caches returns the state of the caches of the only model.
func (c *talks) caches() (state string, warm, fit int64) {
	c.s.t.Helper()
	var answer struct {
		Caches []struct {
			Model, State string
			Warm         int64 `json:"warm_tokens"`
			Fit          int64 `json:"cache_tokens"`
		}
	}
	c.s.get("/api/upstreams", &answer)
	if len(answer.Caches) != 1 || answer.Caches[0].Model != "tiny" {
		c.s.t.Fatalf("%+v", answer)
	}
	return answer.Caches[0].State, answer.Caches[0].Warm, answer.Caches[0].Fit
}

// With more conversations than fit into the caches, one line says so; another one says when it is over.
func TestOverrunIsLogged(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{BlockSize: 16, CacheBlocks: 1_000})
	s := startTether(t, nil, urls...)
	s.await(0, "up")
	s.await(1, "up")
	c := &talks{s: s, client: &http.Client{Timeout: patience}}
	defer c.client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); cacheTokens(s.app.registry.Table(), []byte("tiny")) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // until both servers were asked how large their caches are
	}
	lines := func(text string) int { return s.logs.FilterMessageSnippet(text).Len() }
	c.turns(40)
	c.turns(40)
	s.logs.await(t, "a line about overrun caches", func() bool { return lines("caches are overrun") > 0 })
	if n := lines("caches are overrun: "); n != 1 {
		t.Fatalf("%d lines say that the caches are overrun", n)
	}
	if state, warm, fit := c.caches(); state != "overrun" || warm < 40*1_000 || fit != 2*1_000*16 {
		t.Errorf("%s: %d tokens warm, %d fit", state, warm, fit)
	}
	for deadline := time.Now().Add(patience); lines("no longer overrun") == 0 && time.Now().Before(deadline); {
		c.turns(3)
	}
	if n := lines("no longer overrun"); n != 1 || lines("caches are overrun") != 1 {
		t.Errorf("%d lines say that it is over, %d that it began", n, lines("caches are overrun"))
	}
	if state, _, _ := c.caches(); state != "ok" {
		t.Error(state)
	}
}

// Caches with room for all conversations are never called overrun, and have what is expected of them.
func TestNaturalCaches(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{})
	s := startTether(t, func(c *config.Config) { c.Log.Access = "off" }, urls...)
	s.await(0, "up")
	s.await(1, "up")
	c := &talks{s: s, client: &http.Client{Timeout: patience}}
	defer c.client.CloseIdleConnections()
	for end := time.Now().Add(3 * lookEvery); time.Now().Before(end); {
		c.turns(20)
	}
	if state, _, _ := c.caches(); state != "ok" || s.logs.FilterMessageSnippet("caches").Len() > 0 {
		t.Errorf("%s", state)
	}
	text, sum := s.text("/metrics"), map[string]float64{}
	for _, name := range []string{"tether_prompt_tokens_expected_cached_total", "tether_prompt_tokens_found_cached_total"} {
		for _, v := range samples(text, name, "upstream") {
			sum[name] += v
		}
	}
	expected, found := sum["tether_prompt_tokens_expected_cached_total"], sum["tether_prompt_tokens_found_cached_total"]
	if expected < 20*1_000 || found < 0.95*expected || found > 1.05*expected {
		t.Errorf("%.0f tokens expected, %.0f found", expected, found)
	}
}

func TestOverrunText(t *testing.T) {
	for want, r := range map[string]warm.Report{
		"caches are overrun: 5000 tokens warm":                           {Warm: 5000},
		"caches are overrun: 5000 tokens warm, 4000 fit":                 {Warm: 5000, Fit: 4000},
		"caches are overrun: 2000 tokens warm, 4000 fit":                 {Warm: 2000, Fit: 4000},
		"caches lose prompts that would fit: 1999 tokens warm, 4000 fit": {Warm: 1999, Fit: 4000},
	} {
		if got := overrunText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What fits is what the servers of the model hold that are up, if all of them say how much that is.
func TestCacheTokens(t *testing.T) {
	_, urls := startSims(t, 2, sim.Config{BlockSize: 16, CacheBlocks: 1_000})
	s := startTether(t, nil, urls...)
	s.await(0, "up")
	s.await(1, "up")
	look := func(model string) int64 { return cacheTokens(s.app.registry.Table(), []byte(model)) }
	for deadline := time.Now().Add(patience); look("tiny") != 32_000 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // until both servers were asked
	}
	if got := look("tiny"); got != 32_000 {
		t.Errorf("%d tokens fit, want 32000", got)
	}
	if got := look("other"); got != 0 {
		t.Errorf("%d tokens of a model that no server has", got)
	}
	cacheWatch{s.app.registry, s.app.prefill, zap.NewNop()}.look(time.Now())
}
