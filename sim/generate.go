package sim

import (
	"fmt"

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

func generate(a *answer, q generateRequest) error {
	q.N, q.tokenized = q.SamplingParams.N, true
	return a.call(q.options, q.SamplingParams.MaxTokens, given(q.TokenIDs), func(c *call) error {
		c.id = "generate-tokens-" + c.id
		return c.respond(q.Stream, generateFormat(c))
	})
}

const generateForm = `{"request_id":%s,"model":%s,"created":%d,"usage":%s,"prompt_logprobs":null,` +
	`"prompt_token_id_logprobs":null,"prompt_token_ids":null,"mm_placeholders":null,"metrics":null,` +
	`"kv_transfer_params":null,"ec_transfer_params":null,"output_mode":"tokens","choices":[%s]}`

const generateChoiceForm = `{"index":%d,"finish_reason":%s,"stop_reason":null,"token_ids":%s,"routed_experts":null,` +
	`"sampling_mask":null,"weight_versions":%s,"logprobs":null}`

func generateFormat(c *call) format {
	sent := make([]int, c.job.Choices)
	chunk := func(usage, choices string) []byte {
		return fmt.Appendf(nil, `{"request_id":%s,"usage":%s,"output_mode":"tokens","choices":[%s]}`, quote(c.id), usage, choices)
	}
	return format{
		whole: func(choices [][]engine.Token, t engine.Tally) {
			list := each(choices, func(i int, tokens []engine.Token) string {
				return fmt.Sprintf(generateChoiceForm, i, c.finishReason(true), idsJSON(tokens), c.weightVersions(len(tokens)))
			})
			c.ok(generateForm, quote(c.id), quote(c.model), c.created, usageJSON(t, "null"), list)
		},
		token: func(s engine.Step) error {
			sent[s.Choice]++
			weights := "null"
			if s.Last {
				weights = c.weightVersions(sent[s.Choice])
			}
			return c.event("", chunk("null", fmt.Sprintf(generateChoiceForm,
				s.Choice, c.finishReason(s.Last), idsJSON([]engine.Token{s.Token}), weights)))
		},
		end: func(t engine.Tally) error {
			if c.refused {
				if err := c.event("", chunk("null", fmt.Sprintf(generateChoiceForm, 0, c.finishReason(true), "[]", "[]"))); err != nil {
					return err
				}
			}
			return c.endOpenAI(chunk(streamUsageJSON(t, fmt.Sprintf(`"cached_tokens":%d`, t.Cached)), ""))
		},
	}
}

// weightVersions says which weights generated how many tokens.
func (c *call) weightVersions(tokens int) string {
	if c.refused {
		return "[]"
	}
	return fmt.Sprintf(`[{"version":"default","start":0,"end":%d}]`, tokens)
}

func idsJSON(tokens []engine.Token) string {
	return string(encode(append([]engine.Token{}, tokens...))) // [] and not null for none
}
