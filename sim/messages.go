package sim

import (
	"encoding/json"
	"fmt"
	"strings"

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

func (q messagesRequest) prompt() []engine.Token {
	system := ""
	if len(q.System) > 0 && string(q.System) != "null" {
		system = systemText(q.System)
	}
	return engine.Tokenize(render(q.Tools, system, q.Messages))
}

// systemText is the system prompt. As in vLLM, the block is not in it that Claude Code puts at its head, another one for
// each request.
func systemText(system json.RawMessage) string {
	var blocks []json.RawMessage
	if json.Unmarshal(system, &blocks) != nil {
		return contentText(system)
	}
	var b strings.Builder
	for _, block := range blocks {
		if text := partText(block); !strings.HasPrefix(text, "x-anthropic-billing-header") {
			b.WriteString(text)
		}
	}
	return b.String()
}

func (a *answer) messages() {
	var q messagesRequest
	if !a.decode(&q, "model", "messages", "max_tokens") || !a.positive(q.MaxTokens) {
		return
	}
	q.N = nil // Anthropic's API has none
	c, ok := a.check(q.options, q.MaxTokens)
	if !ok || !a.conversation(q.Messages) || !a.admit() {
		return
	}
	defer a.life.release()
	if !c.prompt(q.prompt()) {
		return
	}
	if q.Stream {
		c.messageStream()
	} else {
		c.messageJSON()
	}
}

func (a *answer) positive(limit *int) bool {
	if limit == nil || *limit > 0 {
		return true
	}
	a.fail(invalid("body.max_tokens", fmt.Sprintf("{'type': 'value_error', 'loc': 'body.max_tokens', "+
		"'msg': 'Value error, max_tokens must be positive', 'input': '%d', "+
		"'ctx': {'error': ValueError('max_tokens must be positive')}}", *limit)))
	return false
}

const messageForm = `{"id":%s,"type":"message","role":"assistant","content":[{"type":"text","text":%s}],"model":%s,` +
	`"stop_reason":%s,"usage":%s}`

func (c *call) messageJSON() {
	texts, t, ok := c.collect()
	if !ok {
		return
	}
	c.ok(messageForm, quote("chatcmpl-"+c.id), quote(texts[0]), quote(c.model), c.stopReason(), messageUsage(t))
}

// stopReason is Anthropic's word, as JSON.
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

func (c *call) messageStream() {
	c.whole(func() error {
		started := false
		t, err := c.engine.Run(c.a.r.Context(), c.job, func(s engine.Step) error {
			if !started {
				started = true
				if err := c.messageStart(); err != nil {
					return err
				}
			}
			return c.named("content_block_delta", `"delta":{"type":"text_delta","text":%s},"index":0`, quote(s.Token.Text()))
		})
		if err != nil {
			return err
		}
		return c.messageStop(t)
	})
}

// messageStart sends what comes before the first token, whose input_tokens are all of the prompt.
func (c *call) messageStart() error {
	err := c.named("message_start", `"message":{"id":%s,"type":"message","role":"assistant","content":[],"model":%s,`+
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":0}}`,
		quote("chatcmpl-"+c.id), quote(c.model), len(c.job.Prompts[0]))
	if err != nil {
		return err
	}
	return c.named("content_block_start", `"content_block":{"type":"text","text":""},"index":0`)
}

func (c *call) messageStop(t engine.Tally) error {
	if err := c.named("content_block_stop", `"index":0`); err != nil {
		return err
	}
	err := c.named("message_delta", `"delta":{"stop_reason":%s,"stop_sequence":null},"usage":%s`, c.stopReason(), messageUsage(t))
	if err != nil {
		return err
	}
	return c.a.event("message_stop", []byte(`{"type":"message_stop"}`))
}

// named sends an event whose data begins with its name.
func (c *call) named(name, format string, args ...any) error {
	return c.a.event(name, fmt.Appendf(nil, `{"type":"`+name+`",`+format+`}`, args...))
}

func (a *answer) countTokens() {
	var q messagesRequest
	if !a.decode(&q, "model", "messages") {
		return
	}
	q.N = nil
	c, ok := a.check(q.options, nil)
	if !ok || !a.conversation(q.Messages) || !a.admit() {
		return
	}
	defer a.life.release()
	n := len(q.prompt())
	c.ok(`{"input_tokens":%d,"context_management":{"original_input_tokens":%[1]d}}`, n)
}
