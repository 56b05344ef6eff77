package sim

import (
	"encoding/json"
	"fmt"

	"tether/sim/engine"
)

// response is the object of the Responses API. Its fields are in vLLM's order.
type response struct {
	ID                 string            `json:"id"`
	CreatedAt          int64             `json:"created_at"`
	IncompleteDetails  json.RawMessage   `json:"incomplete_details"`
	Instructions       *string           `json:"instructions"`
	Metadata           json.RawMessage   `json:"metadata"`
	Model              string            `json:"model"`
	Object             string            `json:"object"`
	Output             []json.RawMessage `json:"output"`
	ParallelToolCalls  bool              `json:"parallel_tool_calls"`
	Temperature        json.RawMessage   `json:"temperature"`
	ToolChoice         json.RawMessage   `json:"tool_choice"`
	Tools              json.RawMessage   `json:"tools"`
	TopP               json.RawMessage   `json:"top_p"`
	Background         bool              `json:"background"`
	MaxOutputTokens    int               `json:"max_output_tokens"`
	MaxToolCalls       *int              `json:"max_tool_calls"`
	PreviousResponseID *string           `json:"previous_response_id"`
	Prompt             *string           `json:"prompt"`
	Reasoning          *string           `json:"reasoning"`
	ServiceTier        string            `json:"service_tier"`
	Status             string            `json:"status"`
	Text               *string           `json:"text"`
	TopLogprobs        *int              `json:"top_logprobs"`
	Truncation         string            `json:"truncation"`
	Usage              json.RawMessage   `json:"usage"`
	User               *string           `json:"user"`
	PresencePenalty    json.RawMessage   `json:"presence_penalty"`
	FrequencyPenalty   json.RawMessage   `json:"frequency_penalty"`
	KVTransferParams   *string           `json:"kv_transfer_params"`
	ECTransferParams   *string           `json:"ec_transfer_params"`
	InputMessages      *string           `json:"input_messages"`
	OutputMessages     *string           `json:"output_messages"`
}

// newResponse is the response to a request before its answer is there.
func newResponse(c *call, q responsesRequest) response {
	choice := `"auto"`
	if q.Tools == nil {
		choice = `"none"`
	}
	return response{
		ID: "resp_" + newID(), CreatedAt: c.created, Instructions: q.Instructions, Metadata: q.Metadata, Model: c.model,
		Object: "response", Output: []json.RawMessage{}, ParallelToolCalls: true,
		Temperature: orRaw(q.Temperature, "1.0"), TopP: orRaw(q.TopP, "1.0"), ToolChoice: orRaw(q.ToolChoice, choice),
		Tools: orRaw(q.Tools, "[]"), Background: q.Background, MaxOutputTokens: c.job.Max,
		PreviousResponseID: q.PreviousResponseID, ServiceTier: "auto", Status: "in_progress", Truncation: "disabled",
		User: q.User, PresencePenalty: json.RawMessage("0.0"), FrequencyPenalty: json.RawMessage("0.0"),
	}
}

func orRaw(raw json.RawMessage, fallback string) json.RawMessage {
	if raw == nil {
		return json.RawMessage(fallback)
	}
	return raw
}

// finished is the response with its answer, which item holds.
func (r response) finished(c *call, item []byte, t engine.Tally) response {
	r.Output = []json.RawMessage{item}
	r.Status = "completed"
	if c.reason == "length" {
		r.Status, r.IncompleteDetails = "incomplete", json.RawMessage(`{"reason":"max_output_tokens"}`)
	}
	r.Usage = fmt.Appendf(nil, `{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d,`+
		`"input_tokens_per_turn":[],"cached_tokens_per_turn":[]},"output_tokens":%d,"output_tokens_details":`+
		`{"reasoning_tokens":0,"tool_output_tokens":0,"output_tokens_per_turn":[],"tool_output_tokens_per_turn":[]},`+
		`"total_tokens":%d}`, t.Prompt, t.Cached, t.Created, t.Completion, t.Prompt+t.Completion)
	return r
}
