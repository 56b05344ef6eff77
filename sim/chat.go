package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"tether/sim/engine"
)

// chatRequest is the body of /v1/chat/completions, as far as the simulator reads it.
type chatRequest struct {
	options
	Messages            []message       `json:"messages"`
	Tools               json.RawMessage `json:"tools"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
}

func chat(a *answer, q chatRequest) error {
	limit := cmp.Or(q.MaxCompletionTokens, q.MaxTokens)
	return a.call(q.options, limit, chatPrompts(q.Tools, "", q.Messages), func(c *call) error {
		if limit == nil {
			c.stopsByItself()
		}
		return c.respond(q.Stream, chatFormat(c, true))
	})
}

type chatBatchRequest struct {
	options
	Conversations [][]message     `json:"messages"`
	Tools         json.RawMessage `json:"tools"`
	MaxTokens     *int            `json:"max_tokens"`
}

// chatBatch answers all conversations in one JSON answer, even when a stream was asked for, as vLLM does.
func chatBatch(a *answer, q chatBatchRequest) error {
	return a.call(q.options, q.MaxTokens, chatPrompts(q.Tools, "", q.Conversations...), func(c *call) error {
		return c.respond(false, chatFormat(c, false))
	})
}

const chatForm = `{"id":%s,"object":"chat.completion","created":%d,"model":%s,"choices":[%s],"service_tier":null,` +
	`"system_fingerprint":"` + fingerprint + `","usage":%s,"prompt_logprobs":null,"prompt_token_ids":null,` +
	`"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}`

const chatChoiceForm = `{"index":%d,"message":{"role":"assistant","content":%s,"refusal":null,"annotations":null,` +
	`"audio":null,"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":%s,"stop_reason":null,` +
	`"token_ids":null,"routed_experts":null}`

const chatRoleForm = `%s{"index":%d,"delta":{"role":"assistant","content":""},"logprobs":null,` +
	`"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}`

// chatFormat streams the role of each choice before the first token, and then one chunk for each token. Batches have no details in
// their usage.
func chatFormat(c *call, details bool) format {
	head := c.chunkHead("chatcmpl-", "chat.completion.chunk")
	return format{
		whole: func(choices [][]engine.Token, t engine.Tally) {
			list := each(choices, func(i int, tokens []engine.Token) string {
				return fmt.Sprintf(chatChoiceForm, i, quote(engine.Detokenize(tokens)), c.finishReason(true))
			})
			usage := usageJSON(t, strconv.Itoa(t.Created))
			if !details {
				usage = plainUsageJSON(t.Prompt, t.Completion)
			}
			c.ok(chatForm, quote("chatcmpl-"+c.id), c.created, quote(c.model), list, usage)
		},
		begin: func() error {
			for i := range c.job.Choices {
				if err := c.event("", fmt.Appendf(nil, chatRoleForm, head, i)); err != nil {
					return err
				}
			}
			return nil
		},
		token: func(s engine.Step) error {
			stop := ""
			if s.Last {
				stop = `"stop_reason":null,`
			}
			return c.event("", fmt.Appendf(nil, `%s{"index":%d,"delta":{"content":%s},"logprobs":null,"finish_reason":%s,%s"token_ids":null}]%s}`,
				head, s.Choice, quote(s.Token.Text()), c.finishReason(s.Last), stop, c.signature(s.Last)))
		},
		end: func(t engine.Tally) error {
			return c.endOpenAI(usageChunk(head, t, fmt.Sprintf(`"cached_tokens":%d,"created_cache_tokens":%d`, t.Cached, t.Created)))
		},
	}
}
