package sim

import (
	"cmp"
	"fmt"

	"tether/sim/engine"
)

// response is the object of the Responses API.
type response struct {
	id         string
	created    int64 // Unix seconds
	model      string
	max        int // tokens of the answer
	q          responsesRequest
	status     string
	incomplete string // JSON
	output     string // JSON; empty for none
	usage      string // JSON
}

const responseForm = `{"id":"%s","created_at":%d,"incomplete_details":%s,"instructions":%s,"metadata":%s,"model":%s,` +
	`"object":"response","output":[%s],"parallel_tool_calls":true,"temperature":%s,"tool_choice":%s,"tools":%s,"top_p":%s,` +
	`"background":%t,"max_output_tokens":%d,"max_tool_calls":null,"previous_response_id":%s,"prompt":null,"reasoning":null,` +
	`"service_tier":"auto","status":"%s","text":null,"top_logprobs":null,"truncation":"disabled","usage":%s,"user":%s,` +
	`"presence_penalty":0.0,"frequency_penalty":0.0,"kv_transfer_params":null,"ec_transfer_params":null,"input_messages":null,` +
	`"output_messages":null}`

// MarshalJSON writes the response as vLLM does, with the defaults of what the request leaves out.
func (r response) MarshalJSON() ([]byte, error) {
	choice := `"auto"`
	if r.q.Tools == nil {
		choice = `"none"`
	}
	return fmt.Appendf(nil, responseForm, r.id, r.created, r.incomplete, encode(r.q.Instructions), cmp.Or(string(r.q.Metadata), "null"),
		quote(r.model), r.output, cmp.Or(string(r.q.Temperature), "1.0"), cmp.Or(string(r.q.ToolChoice), choice), cmp.Or(string(r.q.Tools), "[]"),
		cmp.Or(string(r.q.TopP), "1.0"), r.q.Background, r.max, encode(r.q.PreviousResponseID), r.status, r.usage, encode(r.q.User)), nil
}

// finished is the response with its answer, which item holds.
func (r response) finished(reason string, item []byte, t engine.Tally) response {
	r.output, r.status = string(item), "completed"
	if reason == "length" {
		r.status, r.incomplete = "incomplete", `{"reason":"max_output_tokens"}`
	}
	r.usage = fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d,`+
		`"input_tokens_per_turn":[],"cached_tokens_per_turn":[]},"output_tokens":%d,"output_tokens_details":`+
		`{"reasoning_tokens":0,"tool_output_tokens":0,"output_tokens_per_turn":[],"tool_output_tokens_per_turn":[]},`+
		`"total_tokens":%d}`, t.Prompt, t.Cached, t.Created, t.Completion, t.Prompt+t.Completion)
	return r
}
