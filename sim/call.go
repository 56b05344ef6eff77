package sim

import (
	"cmp"
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

// call is one request to an engine that passed its checks.
type call struct {
	*answer
	engine  *engine.Engine
	job     engine.Job
	model   string
	id      string // without its prefix; the client's X-Request-Id, or random
	created int64  // Unix seconds
	reason  string // finish_reason in OpenAI's words
	usage   bool   // the stream ends with its usage
	refused bool   // not admitted: the engine aborts the job at once
}

// options are the fields that requests of several APIs share.
type options struct {
	Model         string         `json:"model"`
	Stream        bool           `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options"`
	CacheSalt     string         `json:"cache_salt"`
	N             *int           `json:"n"`

	// tokenized says that the client sent token ids. A draining vLLM need not tokenize them: its engine aborts the job.
	tokenized bool
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// prompts makes the prompts of a call. It is called once the options are known to be good.
type prompts func() ([][]engine.Token, error)

// given makes prompts that are there already.
func given(p ...[]engine.Token) prompts {
	return func() ([][]engine.Token, error) { return p, nil }
}

// call begins a call, lets serve answer it, and releases it.
func (a *answer) call(o options, limit *int, p prompts, serve func(*call) error) error {
	c, err := a.begin(o, limit, p)
	if err != nil {
		return err
	}
	defer c.release()
	return serve(c)
}

// begin checks a request, makes a call of it, and admits it. limit is the length of each answer in tokens; nil means
// Config.AnswerTokens. The caller ends the call with release.
func (a *answer) begin(o options, limit *int, p prompts) (c *call, err error) {
	if c, err = a.check(o, limit); err != nil {
		return nil, err
	}
	if c.job.Prompts, err = p(); err != nil {
		return nil, err
	}
	switch {
	case a.admit():
	case o.tokenized:
		c.refused, c.reason = true, "abort"
		return c, nil
	default:
		return nil, a.shuttingDown()
	}
	if err := c.fit(); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// check makes a call of a request whose options are good.
func (a *answer) check(o options, limit *int) (*call, error) {
	a.model = o.Model
	c := &call{
		answer: a, id: cmp.Or(a.r.Header.Get("X-Request-Id"), newID()), created: time.Now().Unix(), reason: "length",
		model: cmp.Or(o.Model, a.srv.cfg.Models[0]),
	}
	err := c.plan(o, limit)
	if err != nil {
		return nil, err
	}
	c.engine, err = pickEngine(a, o.Stream)
	return c, err
}

// plan sets the job, all but its prompts.
func (c *call) plan(o options, limit *int) error {
	cfg := c.srv.cfg
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
		return unknownModel(c.model, cfg.Models)
	case c.job.Choices < 1:
		return badRequest("", "n must be at least 1, got %d.", c.job.Choices)
	case c.job.Max < 1:
		return badRequest("max_tokens", "max_tokens must be at least 1, got %d. (parameter=max_tokens, value=%[1]d)", c.job.Max)
	case c.job.Max > cfg.MaxModelLen:
		return badRequest("max_tokens", "max_tokens=%d cannot be greater than max_model_len=%d. "+
			"Please request fewer output tokens. (parameter=max_tokens, value=%[1]d)", c.job.Max, cfg.MaxModelLen)
	case o.StreamOptions != nil && !o.Stream:
		return badRequest("stream_options", "Stream options can only be defined when `stream=True`. (parameter=stream_options)")
	}
	return nil
}

// pickEngine returns the engine of the rank that the request names, or the least loaded one: when the name is no number, too.
func pickEngine(a *answer, stream bool) (*engine.Engine, error) {
	ranks := a.srv.memory.Load().ranks
	rank, err := strconv.Atoi(strings.TrimSpace(a.r.Header.Get("X-data-parallel-rank")))
	if err == nil && readsRank(a.r.URL.Path) {
		if engines := ranks.Engines(); rank >= 0 && rank < len(engines) {
			return engines[rank], nil
		}
		p := badRequest("", "data_parallel_rank %d is out of range [0, %d).", rank, len(ranks.Engines()))
		p.inStream = stream
		return nil, p
	}
	return ranks.LeastLoaded(), nil
}

// readsRank reports whether vLLM reads the header of the rank. It does not for responses, audio and pooling calls.
func readsRank(path string) bool {
	switch path {
	case "/v1/chat/completions", "/v1/chat/completions/batch", "/v1/completions", "/v1/messages", "/inference/v1/generate":
		return true
	}
	return false
}

// stopsByItself makes the answer end after Config.AnswerTokens as a chat model ends it, instead of at a limit.
func (c *call) stopsByItself() {
	c.reason, c.job.Truncated = "stop", false
}

// fit shortens the answers to what the model's length leaves for them. Prompts that leave nothing are a problem.
func (c *call) fit() error {
	limit := c.srv.cfg.MaxModelLen
	for _, p := range c.job.Prompts {
		if len(p) >= limit {
			return badRequest("input_tokens", "This model's maximum context length is %d tokens. However, your prompt "+
				"contains at least %d input tokens, which exceeds this limit even without any output tokens. Please reduce "+
				"the length of the input prompt. (parameter=input_tokens, value=%[2]d)", limit, limit+1)
		}
		c.job.Max = min(c.job.Max, limit-len(p))
	}
	return nil
}

// admit counts the request as one that a draining server finishes, unless the server is draining or pretends to be. The caller
// ends the count with life.release.
func (a *answer) admit() bool {
	_, refused := a.fault(fault.ShutdownText)
	return !refused && a.life.admit()
}

func (c *call) release() {
	if !c.refused {
		c.life.release()
	}
}

// run runs the job. An error is that of emit, or means that the client left or the server is ending.
func (c *call) run(emit func(engine.Step) error) (t engine.Tally, err error) {
	if c.refused {
		for _, p := range c.job.Prompts {
			t.Prompt += len(p)
		}
		return t, nil
	}
	if err := c.srv.memory.Load().sleep.wait(c.r.Context()); err != nil {
		return t, err
	}
	return c.engine.Run(c.r.Context(), c.job, emit)
}

// collect runs the job and returns its whole answers.
func (c *call) collect() ([][]engine.Token, engine.Tally, error) {
	out := make([][]engine.Token, len(c.job.Prompts)*c.job.Choices)
	t, err := c.run(func(s engine.Step) error {
		out[s.Choice] = append(out[s.Choice], s.Token)
		return nil
	})
	return out, t, err
}

// finishReason is the finish_reason of a step, as JSON.
func (c *call) finishReason(last bool) string {
	if !last {
		return "null"
	}
	return quote(c.reason)
}

func newID() string {
	return fmt.Sprintf("%016x", rand.Uint64())
}

// ok answers with 200 and JSON, and with the load in the head where the client asked for it.
func (c *call) ok(format string, args ...any) {
	if strings.EqualFold(c.r.Header.Get("endpoint-load-metrics-format"), "text") {
		_, waiting := c.engine.Load()
		c.w.Header().Set("Endpoint-Load-Metrics", fmt.Sprintf(
			"TEXT named_metrics.num_requests_waiting=%s, named_metrics.kv_cache_usage_perc=%s",
			pyFloat(float64(waiting)), pyFloat(c.engine.Usage())))
	}
	c.json(http.StatusOK, format, args...)
}
