package sim

import (
	"encoding/json"
	"fmt"
	"strings"
)

// generateRequest is the body of /inference/v1/generate: tokens in, tokens out.
type generateRequest struct {
	options
	TokenIDs       []token `json:"token_ids"`
	SamplingParams struct {
		MaxTokens *int `json:"max_tokens"`
		N         *int `json:"n"`
	} `json:"sampling_params"`
}

func (a *answer) generate() {
	var q generateRequest
	if !a.decode(&q, "token_ids", "sampling_params") {
		return
	}
	q.N = q.SamplingParams.N
	c, ok := a.check(q.options, q.SamplingParams.MaxTokens)
	if !ok {
		return
	}
	c.id = "generate-tokens-" + c.id
	if !a.admitted() {
		c.generateAborted(len(q.TokenIDs), q.Stream)
		return
	}
	defer a.life.release()
	if !c.prompt(q.TokenIDs) {
		return
	}
	if q.Stream {
		c.generateStream()
	} else {
		c.generateJSON()
	}
}

const generateForm = `{"request_id":%s,"model":%s,"created":%d,"usage":%s,"prompt_logprobs":null,` +
	`"prompt_token_id_logprobs":null,"prompt_token_ids":null,"mm_placeholders":null,"metrics":null,` +
	`"kv_transfer_params":null,"ec_transfer_params":null,"output_mode":"tokens","choices":[%s]}`

const generateChoiceForm = `{"index":%d,"finish_reason":%s,"stop_reason":null,"token_ids":%s,"routed_experts":null,` +
	`"sampling_mask":null,"weight_versions":%s,"logprobs":null}`

func (c *call) generateJSON() {
	out := make([][]token, c.job.choices)
	t, err := c.engine.run(c.a.r.Context(), c.job, func(s step) error {
		out[s.choice] = append(out[s.choice], s.token)
		return nil
	})
	if err != nil {
		c.a.abandon(err)
		return
	}
	c.generateAnswer(out, t, weightVersions(c.job.max))
}

func (c *call) generateAnswer(out [][]token, t tally, weights string) {
	var choices []string
	for i, tokens := range out {
		choices = append(choices, fmt.Sprintf(generateChoiceForm, i, c.finish(true), idsJSON(tokens), weights))
	}
	c.ok(generateForm, quote(c.id), quote(c.model), c.created, usageJSON(t, "null"), strings.Join(choices, ","))
}

func (c *call) generateStream() {
	n := make([]int, c.job.choices)
	c.stream(func(s step) error {
		n[s.choice]++
		weights := "null"
		if s.last {
			weights = weightVersions(n[s.choice])
		}
		return c.a.event("", c.generateChunk("null", fmt.Sprintf(generateChoiceForm,
			s.choice, c.finish(s.last), idsJSON([]token{s.token}), weights)))
	}, c.generateUsage)
}

func (c *call) generateUsage(t tally) []byte {
	return c.generateChunk(streamUsageJSON(t, fmt.Sprintf(`"cached_tokens":%d`, t.cached)), "")
}

func (c *call) generateChunk(usage, choices string) []byte {
	return fmt.Appendf(nil, `{"request_id":%s,"usage":%s,"output_mode":"tokens","choices":[%s]}`, quote(c.id), usage, choices)
}

// generateAborted is a draining vLLM's answer.
func (c *call) generateAborted(prompt int, stream bool) {
	c.reason = "abort"
	t := tally{prompt: prompt}
	if !stream {
		c.generateAnswer(make([][]token, c.job.choices), t, "[]")
		return
	}
	c.whole(func() error {
		chunk := c.generateChunk("null", fmt.Sprintf(generateChoiceForm, 0, c.finish(true), "[]", "[]"))
		if err := c.a.event("", chunk); err != nil {
			return err
		}
		return c.finale(t, c.generateUsage)
	})
}

func weightVersions(tokens int) string {
	return fmt.Sprintf(`[{"version":"default","start":0,"end":%d}]`, tokens)
}

func idsJSON(tokens []token) string {
	if len(tokens) == 0 {
		return "[]"
	}
	ids, _ := json.Marshal(tokens) // numbers always have a form
	return string(ids)
}
