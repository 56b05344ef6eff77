package proxy

import (
	"testing"

	"tether/sim"
)

// A wildcard never exposes calls that load, stop or change a server.
func TestWildcardsLeaveServersAlone(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{"POST /*"} })
	for _, path := range []string{
		"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/scale_elastic_ep", "/is_scaling_elastic_ep", "/start_profile", "/stop_profile",
		"/fault_tolerance", "/abort_requests", "/sleep", "/wake_up", "/is_sleeping", "/pause", "/resume", "/is_paused",
		"/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache", "/collective_rpc", "/update_weights",
		"/init_weight_transfer_engine", "/get_world_size", "/server_info", "/inference/v1/abort_requests", "/release_kv_cache_memory",
		"/shutdown_weight_transfer_engine", "/start_weight_update", "/start_draft_weight_update", "/finish_weight_update",
		"/update_weight_version", "/weight_info", "/weight_checker",
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
