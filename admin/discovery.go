package admin

import (
	"net/http"
	"time"
)

// Discovered is a source of upstreams.
type Discovered struct {
	// Source is the label of the source, such as dns:vllm.default.svc.
	Source string `json:"source"`
	// Upstreams is how many upstreams it found last.
	Upstreams int `json:"upstreams"`
	// LastSuccess is when it last knew all its upstreams, nil for never.
	LastSuccess *time.Time `json:"last_success"`
	// Failures counts the looks that found no usable set.
	Failures uint64 `json:"failures"`
	// Problem is what is wrong now, "" for nothing.
	Problem string `json:"problem,omitempty"`
}

// showSources shows the sources of upstreams; sources may be nil.
func showSources(sources func() []Discovered) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		all := []Discovered{}
		if sources != nil {
			all = append(all, sources()...)
		}
		writeJSON(w, 200, map[string]any{"sources": all})
	}
}
