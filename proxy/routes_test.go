package proxy

import (
	"fmt"
	"strings"
	"testing"

	"tether/sim"
)

// The calls that are let through, and whether a conversation stays on its server in each.
func TestRoutes(t *testing.T) {
	url, _ := echo(t)
	r := newRig(t, []string{url})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	n := 0
	for outcome, calls := range map[string][]string{
		"new": {
			"POST /v1/chat/completions", "POST /v1/completions", "POST /inference/v1/generate", "POST /v1/responses",
			"POST /v1/messages", "POST /v1/messages/count_tokens",
			"GET /v1/responses/resp_1", "POST /v1/responses/resp_2/cancel",
		},
		"none": {
			"POST /v1/chat/completions/batch", "POST /v1/embeddings", "POST /v2/embed", "POST /pooling", "POST /classify",
			"POST /score", "POST /v1/score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank",
			"POST /tokenize", "POST /detokenize", "POST /v1/audio/transcriptions", "POST /v1/audio/translations",
			"GET /v1/models", "OPTIONS /v1/chat/completions", "OPTIONS /v1/models",
		},
	} {
		for _, call := range calls {
			n++
			method, path, _ := strings.Cut(call, " ")
			a := r.do(method, path, `{"model":"tiny"}`, fmt.Sprint("X-Session-Id: s-", n))
			if a.StatusCode != 200 || a.outcome() != outcome {
				t.Errorf("%s: %d %s, want %s", call, a.StatusCode, a.outcome(), outcome)
			}
		}
	}
}

// What loads, stops or changes a server is behind no wildcard.
func TestWildcardsLeaveServersAlone(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{"POST /*"} })
	for _, path := range []string{
		"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/scale_elastic_ep", "/is_scaling_elastic_ep", "/start_profile", "/stop_profile",
		"/fault_tolerance", "/abort_requests", "/sleep", "/wake_up", "/is_sleeping", "/pause", "/resume", "/is_paused",
		"/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache", "/collective_rpc", "/update_weights",
		"/init_weight_transfer_engine", "/get_world_size", "/server_info",
	} {
		for _, behind := range []string{"", "/", "/more"} {
			if a := r.do("POST", path+behind, "{}"); a.StatusCode != 404 || a.server() != "" {
				t.Errorf("%s: %d", path+behind, a.StatusCode)
			}
		}
		for _, disguised := range []string{"/." + path, "/%5c" + path[1:], path + ";a", path + "%3ba=b", path + "%00"} {
			if a := r.do("POST", disguised, "{}"); a.StatusCode != 404 || a.server() != "" {
				t.Errorf("%s: %d", disguised, a.StatusCode)
			}
		}
		if a := r.do("POST", path+"er", "{}"); a.server() == "" {
			t.Errorf("%s is another path, and the wildcard's", path+"er")
		}
	}
}
