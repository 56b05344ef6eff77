package sim

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tether/sim/engine"
	"tether/sim/fault"
)

// call is one inference request that passed its checks, on its way through an engine.
type call struct {
	a       *answer
	engine  *engine.Engine
	job     engine.Job
	model   string
	id      string // without prefix
	created int64  // Unix seconds
	reason  string // finish_reason in OpenAI's words
	usage   bool   // the stream ends with its usage
}

// options are the fields that requests of several APIs share.
type options struct {
	Model         string         `json:"model"`
	Stream        bool           `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options"`
	CacheSalt     string         `json:"cache_salt"`
	N             *int           `json:"n"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// check makes a call of a request, or answers with what is wrong with it.
func (a *answer) check(o options, limit *int) (*call, bool) {
	a.model = o.Model
	c := &call{a: a, id: a.requestID(), created: time.Now().Unix(), reason: "length", model: o.Model}
	if c.model == "" {
		c.model = a.srv.cfg.Models[0]
	}
	if p, bad := c.plan(o, limit); bad {
		a.fail(p)
		return nil, false
	}
	engine, p, bad := a.rank()
	switch {
	case bad && o.Stream:
		c.failStream(p)
		return nil, false
	case bad:
		a.fail(p)
		return nil, false
	}
	c.engine = engine
	return c, true
}

// plan sets what the request asks of the engine, all but the prompts.
func (c *call) plan(o options, limit *int) (p problem, bad bool) {
	cfg := c.a.srv.cfg
	c.job.Choices, c.job.Max, c.job.Truncated = 1, cfg.AnswerTokens, true
	c.job.Salt = engine.HashString(engine.HashString(0, c.model), o.CacheSalt)
	c.usage = o.StreamOptions != nil && o.StreamOptions.IncludeUsage
	if o.N != nil {
		c.job.Choices = *o.N
	}
	if limit != nil {
		c.job.Max = *limit
	}
	switch {
	case !slices.Contains(cfg.Models, c.model):
		return unknownModel(c.model, cfg.Models), true
	case c.job.Choices < 1:
		return badRequest("", "n must be at least 1, got %d.", c.job.Choices), true
	case c.job.Max < 1:
		return badRequest("max_tokens", "max_tokens must be at least 1, got %d. (parameter=max_tokens, value=%[1]d)", c.job.Max), true
	case c.job.Max > cfg.MaxModelLen:
		return badRequest("max_tokens", "max_tokens=%d cannot be greater than max_model_len=%d. "+
			"Please request fewer output tokens. (parameter=max_tokens, value=%[1]d)", c.job.Max, cfg.MaxModelLen), true
	case o.StreamOptions != nil && !o.Stream:
		return badRequest("stream_options",
			"Stream options can only be defined when `stream=True`. (parameter=stream_options)"), true
	}
	return problem{}, false
}

// rank is the engine that the request names, or the least loaded one: for a name that is no number, too.
func (a *answer) rank() (e *engine.Engine, p problem, bad bool) {
	ranks := a.srv.memory.Load().ranks
	engines := ranks.Engines()
	rank, err := strconv.Atoi(strings.TrimSpace(a.r.Header.Get("X-data-parallel-rank")))
	switch {
	case err != nil || !takesRank(a.r.URL.Path):
		return ranks.LeastLoaded(), problem{}, false
	case rank < 0 || rank >= len(engines):
		return nil, badRequest("", "data_parallel_rank %d is out of range [0, %d).", rank, len(engines)), true
	}
	return engines[rank], problem{}, false
}

// takesRank reports whether vLLM looks at the header for the rank. It does not for responses, audio and pooling calls.
func takesRank(path string) bool {
	switch path {
	case "/v1/chat/completions", "/v1/chat/completions/batch", "/v1/completions", "/v1/messages", "/inference/v1/generate":
		return true
	}
	return false
}

// stops makes the answer end by itself after Config.AnswerTokens, as a chat model does, instead of at a limit.
func (c *call) stops() {
	c.reason, c.job.Truncated = "stop", false
}

// prompt sets what the engine reads. A prompt that is too long is answered.
func (c *call) prompt(prompts ...[]engine.Token) bool {
	limit := c.a.srv.cfg.MaxModelLen
	for _, p := range prompts {
		if len(p) >= limit {
			c.a.fail(badRequest("input_tokens", "This model's maximum context length is %d tokens. However, your prompt "+
				"contains at least %d input tokens, which exceeds this limit even without any output tokens. Please reduce "+
				"the length of the input prompt. (parameter=input_tokens, value=%[2]d)", limit, limit+1))
			return false
		}
		c.job.Max = min(c.job.Max, limit-len(p))
	}
	c.job.Prompts = prompts
	return true
}

// admit counts the request in as one that a draining server finishes; the caller gives it back with life.release. A
// draining server answers. So does one with the fault shutdown-text.
func (a *answer) admit() bool {
	if a.admitted() {
		return true
	}
	a.fail(shuttingDown(a))
	return false
}

// admitted is admit without an answer.
func (a *answer) admitted() bool {
	_, refused := a.fault(fault.ShutdownText)
	return !refused && a.life.admit()
}

// collect runs the call and returns its whole answers. When the client leaves, nothing is answered.
func (c *call) collect() (texts []string, t engine.Tally, ok bool) {
	out := make([]strings.Builder, len(c.job.Prompts)*c.job.Choices)
	t, err := c.engine.Run(c.a.r.Context(), c.job, func(s engine.Step) error {
		out[s.Choice].WriteString(s.Token.Text())
		return nil
	})
	if err != nil {
		c.a.abandon(err)
		return nil, t, false
	}
	for i := range out {
		texts = append(texts, out[i].String())
	}
	return texts, t, true
}

// finish is the finish_reason of a step, as JSON.
func (c *call) finish(last bool) string {
	if !last {
		return "null"
	}
	return quote(c.reason)
}

// requestID is what vLLM makes ids of: the client's X-Request-Id, else a random one.
func (a *answer) requestID() string {
	if id := a.r.Header.Get("X-Request-Id"); id != "" {
		return id
	}
	return newID()
}

func newID() string {
	return fmt.Sprintf("%016x", rand.Uint64())
}

// ok answers with 200 and JSON, with the load in the head where the client asked for it.
func (c *call) ok(format string, args ...any) {
	if strings.EqualFold(c.a.r.Header.Get("endpoint-load-metrics-format"), "text") {
		_, waiting := c.engine.Load()
		c.a.w.Header().Set("Endpoint-Load-Metrics", fmt.Sprintf(
			"TEXT named_metrics.num_requests_waiting=%s, named_metrics.kv_cache_usage_perc=%s",
			pyFloat(float64(waiting)), pyFloat(c.engine.Usage())))
	}
	c.a.json(http.StatusOK, format, args...)
}

// usageJSON is the usage object of OpenAI's JSON answers; created is a number or null.
func usageJSON(t engine.Tally, created string) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":`+
		`{"cached_tokens":%d,"created_cache_tokens":%s,"multimodal_tokens":null},"completion_tokens_details":null}`,
		t.Prompt, t.Prompt+t.Completion, t.Completion, t.Cached, created)
}

// streamUsageJSON is the usage object of the last chunk; details are its prompt_tokens_details.
func streamUsageJSON(t engine.Tally, details string) string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{%s}}`,
		t.Prompt, t.Prompt+t.Completion, t.Completion, details)
}
