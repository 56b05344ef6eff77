package sim

import (
	"encoding/json"

	"tether/sim/engine"
)

// batchRequest is the body of /v1/chat/completions/batch: a list of conversations.
type batchRequest struct {
	options
	Messages  [][]message     `json:"messages"`
	Tools     json.RawMessage `json:"tools"`
	MaxTokens *int            `json:"max_tokens"`
}

// chatBatch answers all conversations in one JSON answer, even when a stream was asked for, as vLLM does.
func (a *answer) chatBatch() {
	var q batchRequest
	if !a.decode(&q, "messages") {
		return
	}
	c, ok := a.check(q.options, q.MaxTokens)
	if !ok {
		return
	}
	var prompts [][]engine.Token
	for _, m := range q.Messages {
		if !a.conversation(m) {
			return
		}
		prompts = append(prompts, engine.Tokenize(render(q.Tools, "", m)))
	}
	if !a.admit() {
		return
	}
	defer a.life.release()
	if c.prompt(prompts...) {
		c.chatJSON(false)
	}
}
