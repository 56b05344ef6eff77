package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"tether/failure"
)

// What the proxy knows of vLLM, beside its paths in endpoints.go.

// shutdownText is what vLLM's engine client raises once it was told to stop (tried with 0.32.0): new requests get
// it as a 500 while those in flight finish, and /health stays 200.
const shutdownText = "cannot schedule new futures after shutdown"

// Admission control refuses with these texts (vLLM 0.32.0, exceptions.py): with the first beyond --max-num-queued-reqs, with the second
// beyond --max-num-queued-tokens.
const (
	queueFullText   = "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance."
	backlogFullText = "The engine has reached its prefill token backlog limit. Please try again later or on a different instance."
)

// refusals are the answers by which vLLM refuses a request before it begins to work on it.
var refusals = [...]struct {
	status int
	text   string
	kind   failure.Kind
}{
	{500, shutdownText, failure.Leaving},
	{503, queueFullText, failure.Full},
	{503, backlogFullText, failure.Full},
}

const (
	// maxRefusal bounds the body of a refusal.
	maxRefusal = 4 << 10

	// refusalTime is how long an answer is held back until such a body is complete. vLLM writes it at once.
	refusalTime = 5 * time.Second
)

// refusalOf returns the kind of failure by which an answer refuses its request, None if it does not refuse it. The text of a
// refusal must be the whole message: a model may well write such words.
func refusalOf(status int, body []byte) failure.Kind {
	for _, r := range refusals {
		if r.status == status && bytes.Contains(body, []byte(r.text)) && errorMessage(body) == r.text {
			return r.kind
		}
	}
	return failure.None
}

// errorMessage is the message of an error in OpenAI's, Anthropic's or Cohere's form, "" of another body.
func errorMessage(body []byte) string {
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
		Message string `json:"message"` // Cohere's form
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return cmp.Or(answer.Error.Message, answer.Message)
}

// neverByWildcard are vLLM's own ways to change or stop a server: a prefix must not expose them by accident. An operator may
// expose them one by one. The list is that of version 0.32.0 and of those before it.
var neverByWildcard = []string{
	"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/scale_elastic_ep", "/is_scaling_elastic_ep",
	"/start_profile", "/stop_profile", "/fault_tolerance", "/abort_requests", "/inference/v1/abort_requests",
	"/sleep", "/wake_up", "/is_sleeping", "/release_kv_cache_memory", "/pause", "/resume", "/is_paused",
	"/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache", "/collective_rpc", "/get_world_size", "/server_info",
	"/update_weights", "/update_weight_version", "/start_weight_update", "/start_draft_weight_update", "/finish_weight_update",
	"/init_weight_transfer_engine", "/shutdown_weight_transfer_engine", "/weight_info", "/weight_checker",
}

// unexposed are the calls of vLLM that say something about one server, or that have no fixed form. They are harmless, so the
// refusal says how to expose them.
var unexposed = func() map[string]*fault {
	all := map[string]*fault{}
	for _, call := range []string{
		"GET /version", "GET /load", "GET /kv_event_sources", "GET /docs", "GET /redoc", "GET /openapi.json", "POST /invocations",
	} {
		all[call] = &fault{
			status: 404, kind: notFound, reason: faultNotFound.reason,
			message: `This path of the model servers is not exposed here. To expose it, add ` + call + ` to proxy.expose in tether's configuration.`,
		}
	}
	return all
}()
