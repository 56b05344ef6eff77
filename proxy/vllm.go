package proxy

import (
	"bytes"
	"encoding/json"
	"time"
)

// What the proxy knows of vLLM, beside its paths in endpoints.go.

// shutdownText is what vLLM's engine client raises once it was told to stop (tried with 0.32.0): new requests get
// it as a 500 while those in flight finish, and /health stays 200.
const shutdownText = "cannot schedule new futures after shutdown"

const (
	// maxShutdownBody bounds a body that may be a refusal with shutdownText.
	maxShutdownBody = 4 << 10

	// shutdownBodyTime is how long an answer is held back until such a body is complete. vLLM writes it at once.
	shutdownBodyTime = 5 * time.Second
)

// saysLeaving reports whether the body of a 500 is vLLM's refusal while it shuts down. The text must be the whole message: a
// model may well write such words.
func saysLeaving(body []byte) bool {
	if !bytes.Contains(body, []byte(shutdownText)) {
		return false
	}
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Error.Message == shutdownText
}

// neverByWildcard are vLLM's own ways to change or stop a server: a prefix must not expose them by accident. An operator may
// expose them one by one.
var neverByWildcard = []string{
	"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/scale_elastic_ep", "/is_scaling_elastic_ep",
	"/start_profile", "/stop_profile", "/fault_tolerance", "/abort_requests", "/sleep", "/wake_up", "/is_sleeping",
	"/pause", "/resume", "/is_paused", "/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache",
	"/collective_rpc", "/update_weights", "/init_weight_transfer_engine", "/get_world_size", "/server_info",
}
