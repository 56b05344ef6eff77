package sim

import (
	"encoding/json"
	"fmt"

	"tether/sim/engine"
)

type completionRequest struct {
	options
	Prompt    promptField `json:"prompt"`
	MaxTokens *int        `json:"max_tokens"`
}

// promptField is one text, several texts, one list of token ids, or several of them.
type promptField struct {
	prompts   [][]engine.Token
	tokenized bool // by the client
	given     bool
}

// UnmarshalJSON tries the four forms.
func (p *promptField) UnmarshalJSON(data []byte) error {
	var (
		text  string
		texts []string
		ids   []engine.Token
	)
	p.given = true
	switch {
	case json.Unmarshal(data, &text) == nil:
		p.given = text != ""
		p.prompts = [][]engine.Token{engine.Tokenize(text)}
	case json.Unmarshal(data, &ids) == nil:
		p.tokenized = true
		if len(ids) > 0 {
			p.prompts = [][]engine.Token{ids}
		}
	case json.Unmarshal(data, &texts) == nil:
		p.prompts = tokenizeAll(texts)
	default:
		p.tokenized = true
		return json.Unmarshal(data, &p.prompts)
	}
	return nil
}

// required returns the prompts. None is a problem.
func (p promptField) required() ([][]engine.Token, error) {
	switch {
	case !p.given:
		return nil, badRequest("prompt", "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)")
	case len(p.prompts) == 0:
		return nil, badRequest("", "You must pass at least one prompt")
	}
	return p.prompts, nil
}

func completions(a *answer, q completionRequest) error {
	q.tokenized = q.Prompt.tokenized
	return a.call(q.options, q.MaxTokens, q.Prompt.required, func(c *call) error {
		return c.respond(q.Stream, completionFormat(c))
	})
}

const completionForm = `{"id":%s,"object":"text_completion","created":%d,"model":%s,"choices":[%s],"service_tier":null,` +
	`"system_fingerprint":"` + fingerprint + `","usage":%s,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`

const completionChoiceForm = `{"index":%d,"text":%s,"logprobs":null,"finish_reason":%s,"stop_reason":null,"token_ids":null,` +
	`"prompt_logprobs":null,"prompt_token_ids":null,"routed_experts":null}`

func completionFormat(c *call) format {
	head := c.chunkHead("cmpl-", "text_completion")
	return format{
		whole: func(choices [][]engine.Token, t engine.Tally) {
			list := each(choices, func(i int, tokens []engine.Token) string {
				return fmt.Sprintf(completionChoiceForm, i, quote(engine.Detokenize(tokens)), c.finishReason(true))
			})
			c.ok(completionForm, quote("cmpl-"+c.id), c.created, quote(c.model), list, usageJSON(t, "null"))
		},
		token: func(s engine.Step) error {
			return c.event("", fmt.Appendf(nil, `%s{"index":%d,"text":%s,"logprobs":null,"finish_reason":%s,"stop_reason":null,`+
				`"prompt_token_ids":null,"token_ids":null}]%s}`,
				head, s.Choice, quote(s.Token.Text()), c.finishReason(s.Last), c.signature(s.Last)))
		},
		end: func(t engine.Tally) error {
			return c.endOpenAI(usageChunk(head, t, fmt.Sprintf(`"cached_tokens":%d`, t.Cached)))
		},
	}
}
