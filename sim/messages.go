package sim

import (
	"encoding/json"
	"fmt"

	"tether/sim/engine"
)

// messagesRequest is the body of /v1/messages and /v1/messages/count_tokens.
type messagesRequest struct {
	options
	System    json.RawMessage `json:"system"`
	Messages  []message       `json:"messages"`
	Tools     json.RawMessage `json:"tools"`
	MaxTokens *int            `json:"max_tokens"`
}

// prompts leaves out the block that Claude Code puts at the head of the system prompt, as vLLM does: the block is another one for
// each request.
func (q messagesRequest) prompts() prompts {
	return chatPrompts(q.Tools, contentText(q.System, "x-anthropic-billing-header"), q.Messages)
}

func messages(a *answer, q messagesRequest) error {
	if limit := q.MaxTokens; limit != nil && *limit <= 0 {
		return invalid("body.max_tokens", fmt.Sprintf("{'type': 'value_error', 'loc': 'body.max_tokens', "+
			"'msg': 'Value error, max_tokens must be positive', 'input': '%d', "+
			"'ctx': {'error': ValueError('max_tokens must be positive')}}", *limit))
	}
	q.N = nil // Anthropic's API has none
	return a.call(q.options, q.MaxTokens, q.prompts(), func(c *call) error {
		return c.respond(q.Stream, messageFormat(c))
	})
}

func countTokens(a *answer, q messagesRequest) error {
	q.N = nil
	var counted [][]engine.Token
	count := func() (_ [][]engine.Token, err error) {
		counted, err = q.prompts()()
		return nil, err // a prompt that is too long is counted as well
	}
	return a.call(q.options, nil, count, func(c *call) error {
		c.ok(`{"input_tokens":%d,"context_management":{"original_input_tokens":%[1]d}}`, len(counted[0]))
		return nil
	})
}

const messageForm = `{"id":%s,"type":"message","role":"assistant","content":[{"type":"text","text":%s}],"model":%s,` +
	`"stop_reason":%s,"usage":%s}`

// messageFormat streams named events. The input_tokens of the first one are those of the whole prompt.
func messageFormat(c *call) format {
	return format{
		whole: func(choices [][]engine.Token, t engine.Tally) {
			c.ok(messageForm, quote("chatcmpl-"+c.id), quote(engine.Detokenize(choices[0])), quote(c.model), c.stopReason(), messageUsage(t))
		},
		begin: func() error {
			err := c.namedEvent("message_start", `,"message":{"id":%s,"type":"message","role":"assistant","content":[],"model":%s,`+
				`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":0}}`,
				quote("chatcmpl-"+c.id), quote(c.model), len(c.job.Prompts[0]))
			if err != nil {
				return err
			}
			return c.namedEvent("content_block_start", `,"content_block":{"type":"text","text":""},"index":0`)
		},
		token: func(s engine.Step) error {
			return c.namedEvent("content_block_delta", `,"delta":{"type":"text_delta","text":%s},"index":0`, quote(s.Token.Text()))
		},
		end: func(t engine.Tally) error {
			if err := c.namedEvent("content_block_stop", `,"index":0`); err != nil {
				return err
			}
			err := c.namedEvent("message_delta", `,"delta":{"stop_reason":%s,"stop_sequence":null},"usage":%s`, c.stopReason(), messageUsage(t))
			if err != nil {
				return err
			}
			return c.namedEvent("message_stop", "")
		},
	}
}

// stopReason is the finish_reason in Anthropic's words, as JSON.
func (c *call) stopReason() string {
	if c.reason == "stop" {
		return `"end_turn"`
	}
	return `"max_tokens"`
}

// messageUsage counts as Anthropic does: input_tokens are those that the cache neither held nor took in.
func messageUsage(t engine.Tally) string {
	return fmt.Sprintf(`{"input_tokens":%d,"output_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d}`,
		t.Prompt-t.Cached-t.Created, t.Completion, t.Created, t.Cached)
}

// namedEvent sends an event whose data begins with its name.
func (w *writer) namedEvent(name, format string, args ...any) error {
	return w.event(name, fmt.Appendf(nil, `{"type":"`+name+`"`+format+`}`, args...))
}
