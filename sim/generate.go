package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// generateRequest is the body of /inference/v1/generate: tokens in, tokens out.
type generateRequest struct {
	options
	TokenIDs       []engine.Token `json:"token_ids"`
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
	out := make([][]engine.Token, c.job.Choices)
	t, err := c.engine.Run(c.a.r.Context(), c.job, func(s engine.Step) error {
		out[s.Choice] = append(out[s.Choice], s.Token)
		return nil
	})
	if err != nil {
		c.a.abandon(err)
		return
	}
	c.generateAnswer(out, t, weightVersions(c.job.Max))
}

func (c *call) generateAnswer(out [][]engine.Token, t engine.Tally, weights string) {
	var choices []string
	for i, tokens := range out {
		choices = append(choices, fmt.Sprintf(generateChoiceForm, i, c.finish(true), idsJSON(tokens), weights))
	}
	c.ok(generateForm, quote(c.id), quote(c.model), c.created, usageJSON(t, "null"), strings.Join(choices, ","))
}

func (c *call) generateStream() {
	n := make([]int, c.job.Choices)
	c.stream(func(s engine.Step) error {
		n[s.Choice]++
		weights := "null"
		if s.Last {
			weights = weightVersions(n[s.Choice])
		}
		return c.a.event("", c.generateChunk("null", fmt.Sprintf(generateChoiceForm,
			s.Choice, c.finish(s.Last), idsJSON([]engine.Token{s.Token}), weights)))
	}, c.generateUsage)
}

func (c *call) generateUsage(t engine.Tally) []byte {
	return c.generateChunk(streamUsageJSON(t, fmt.Sprintf(`"cached_tokens":%d`, t.Cached)), "")
}

func (c *call) generateChunk(usage, choices string) []byte {
	return fmt.Appendf(nil, `{"request_id":%s,"usage":%s,"output_mode":"tokens","choices":[%s]}`, quote(c.id), usage, choices)
}

// generateAborted is a draining vLLM's answer.
func (c *call) generateAborted(prompt int, stream bool) {
	c.reason = "abort"
	t := engine.Tally{Prompt: prompt}
	if !stream {
		c.generateAnswer(make([][]engine.Token, c.job.Choices), t, "[]")
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

func idsJSON(tokens []engine.Token) string {
	if len(tokens) == 0 {
		return "[]"
	}
	ids, _ := json.Marshal(tokens) // numbers always have a form
	return string(ids)
}
