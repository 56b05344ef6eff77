package sim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tether/sim/engine"
)

// chatRequest is the body of /v1/chat/completions, what the simulator looks at of it.
type chatRequest struct {
	options
	Messages            []message       `json:"messages"`
	Tools               json.RawMessage `json:"tools"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
}

func (a *answer) chat() {
	var q chatRequest
	if !a.decode(&q, "messages") {
		return
	}
	limit := limitOf(q.MaxCompletionTokens, q.MaxTokens)
	c, ok := a.check(q.options, limit)
	if !ok || !a.conversation(q.Messages) {
		return
	}
	if limit == nil {
		c.stops()
	}
	if !a.admit() {
		return
	}
	defer a.life.release()
	if !c.prompt(engine.Tokenize(render(q.Tools, "", q.Messages))) {
		return
	}
	if q.Stream {
		c.chatStream()
	} else {
		c.chatJSON(true)
	}
}

func (a *answer) conversation(messages []message) bool {
	if len(messages) == 0 {
		a.fail(badRequest("", "Cannot apply chat template to an empty conversation. Provide at least one message."))
		return false
	}
	return true
}

const chatForm = `{"id":%s,"object":"chat.completion","created":%d,"model":%s,"choices":[%s],"service_tier":null,` +
	`"system_fingerprint":"` + fingerprint + `","usage":%s,"prompt_logprobs":null,"prompt_token_ids":null,` +
	`"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`

const chatChoiceForm = `{"index":%d,"message":{"role":"assistant","content":%s,"refusal":null,"annotations":null,` +
	`"audio":null,"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":%s,"stop_reason":null,` +
	`"token_ids":null,"routed_experts":null}`

// chatJSON answers a chat, or a batch of them, which has no details in its usage.
func (c *call) chatJSON(details bool) {
	texts, t, ok := c.collect()
	if !ok {
		return
	}
	var choices []string
	for i, text := range texts {
		choices = append(choices, fmt.Sprintf(chatChoiceForm, i, quote(text), c.finish(true)))
	}
	usage := usageJSON(t, strconv.Itoa(t.Created))
	if !details {
		usage = fmt.Sprintf(`{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":null,`+
			`"completion_tokens_details":null}`, t.Prompt, t.Prompt+t.Completion, t.Completion)
	}
	c.ok(chatForm, quote("chatcmpl-"+c.id), c.created, quote(c.model), strings.Join(choices, ","), usage)
}

// chatStream answers with chunks: the role of each choice with the first token, then one chunk a token.
func (c *call) chatStream() {
	begin := fmt.Sprintf(`{"id":%s,"object":"chat.completion.chunk","created":%d,"model":%s,"choices":[`,
		quote("chatcmpl-"+c.id), c.created, quote(c.model))
	started := false
	c.stream(func(s engine.Step) error {
		if !started {
			started = true
			if err := c.chatRoles(begin); err != nil {
				return err
			}
		}
		return c.a.event("", c.chatChunk(begin, s))
	}, func(t engine.Tally) []byte {
		details := fmt.Sprintf(`"cached_tokens":%d,"created_cache_tokens":%d`, t.Cached, t.Created)
		return fmt.Appendf(nil, `%s],"usage":%s,"system_fingerprint":"%s"}`, begin, streamUsageJSON(t, details), fingerprint)
	})
}

func (c *call) chatRoles(begin string) error {
	for i := range c.job.Choices {
		role := fmt.Appendf(nil, `%s{"index":%d,"delta":{"role":"assistant","content":""},"logprobs":null,`+
			`"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}`, begin, i)
		if err := c.a.event("", role); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) chatChunk(begin string, s engine.Step) []byte {
	stop := ""
	if s.Last {
		stop = `"stop_reason":null,`
	}
	return fmt.Appendf(nil, `%s{"index":%d,"delta":{"content":%s},"logprobs":null,"finish_reason":%s,%s"token_ids":null}]%s}`,
		begin, s.Choice, quote(s.Token.Text()), c.finish(s.Last), stop, c.signature(s.Last))
}

// signature is the system_fingerprint of a last chunk, which moves to the usage chunk when there is one.
func (c *call) signature(last bool) string {
	if !last || c.usage {
		return ""
	}
	return `,"system_fingerprint":"` + fingerprint + `"`
}
