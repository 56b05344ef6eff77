package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// completionRequest is the body of /v1/completions.
type completionRequest struct {
	options
	Prompt    promptField `json:"prompt"`
	MaxTokens *int        `json:"max_tokens"`
}

// promptField is one text, several texts, one list of token ids, or several of them.
type promptField struct {
	prompts [][]engine.Token
	ids     bool // the client tokenized
	given   bool
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
		p.ids = true
		p.prompts = [][]engine.Token{ids}
		if len(ids) == 0 {
			p.prompts = nil
		}
	case json.Unmarshal(data, &texts) == nil:
		for _, t := range texts {
			p.prompts = append(p.prompts, engine.Tokenize(t))
		}
	default:
		p.ids = true
		return json.Unmarshal(data, &p.prompts)
	}
	return nil
}

func (a *answer) completions() {
	var q completionRequest
	if !a.decode(&q) {
		return
	}
	c, ok := a.check(q.options, q.MaxTokens)
	if !ok || !a.prompted(q.Prompt) {
		return
	}
	if !c.admitPrompt(q.Prompt, q.Stream) {
		return
	}
	defer a.life.release()
	if !c.prompt(q.Prompt.prompts...) {
		return
	}
	if q.Stream {
		c.completionStream()
		return
	}
	if texts, t, ok := c.collect(); ok {
		c.completionJSON(texts, t)
	}
}

func (a *answer) prompted(p promptField) bool {
	switch {
	case !p.given:
		a.fail(badRequest("prompt", "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)"))
	case len(p.prompts) == 0:
		a.fail(badRequest("", "You must pass at least one prompt"))
	default:
		return true
	}
	return false
}

// admitPrompt is admit, but for prompts of token ids: a draining vLLM need not tokenize them, and its engine aborts them.
func (c *call) admitPrompt(p promptField, stream bool) bool {
	if !p.ids {
		return c.a.admit()
	}
	if c.a.admitted() {
		return true
	}
	c.reason = "abort"
	var t engine.Tally
	for _, ids := range p.prompts {
		t.Prompt += len(ids)
	}
	if stream {
		c.whole(func() error { return c.finale(t, c.completionUsage) })
	} else {
		c.completionJSON(make([]string, len(p.prompts)*c.job.Choices), t)
	}
	return false
}

const completionForm = `{"id":%s,"object":"text_completion","created":%d,"model":%s,"choices":[%s],"service_tier":null,` +
	`"system_fingerprint":"` + fingerprint + `","usage":%s,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`

const completionChoiceForm = `{"index":%d,"text":%s,"logprobs":null,"finish_reason":%s,"stop_reason":null,"token_ids":null,` +
	`"prompt_logprobs":null,"prompt_token_ids":null,"routed_experts":null}`

func (c *call) completionJSON(texts []string, t engine.Tally) {
	var choices []string
	for i, text := range texts {
		choices = append(choices, fmt.Sprintf(completionChoiceForm, i, quote(text), c.finish(true)))
	}
	c.ok(completionForm, quote("cmpl-"+c.id), c.created, quote(c.model), strings.Join(choices, ","), usageJSON(t, "null"))
}

func (c *call) completionBegin() string {
	return fmt.Sprintf(`{"id":%s,"object":"text_completion","created":%d,"model":%s,"choices":[`,
		quote("cmpl-"+c.id), c.created, quote(c.model))
}

func (c *call) completionStream() {
	begin := c.completionBegin()
	c.stream(func(s engine.Step) error {
		return c.a.event("", fmt.Appendf(nil, `%s{"index":%d,"text":%s,"logprobs":null,"finish_reason":%s,"stop_reason":null,`+
			`"prompt_token_ids":null,"token_ids":null}]%s}`,
			begin, s.Choice, quote(s.Token.Text()), c.finish(s.Last), c.signature(s.Last)))
	}, c.completionUsage)
}

func (c *call) completionUsage(t engine.Tally) []byte {
	return fmt.Appendf(nil, `%s],"usage":%s,"system_fingerprint":"%s"}`,
		c.completionBegin(), streamUsageJSON(t, fmt.Sprintf(`"cached_tokens":%d`, t.Cached)), fingerprint)
}
