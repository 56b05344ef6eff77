package status

import "time"

// Snapshot is what a page shows of this moment. It holds names of upstreams, models that servers list and words of tether, and nothing that
// a client sent.
type Snapshot struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Placement is the placement in force, Why says why it is not the configured one.
	Placement    string `json:"placement"`
	PlacementWhy string `json:"placement_why,omitempty"`
	// Connections and InFlight are those of clients.
	Connections int   `json:"connections"`
	InFlight    int64 `json:"in_flight"`
	// Sessions and MaxSessions are the pins and their limit.
	Sessions    int     `json:"sessions"`
	MaxSessions int     `json:"max_sessions"`
	Rate        float64 `json:"rate"` // requests a second, of the last 5 to 10 seconds
	// Minute is the last minute, Total all since the start.
	Minute Figures `json:"minute"`
	Total  Figures `json:"total"`
	// Upstreams are in the order of the table.
	Upstreams []Upstream `json:"upstreams"`
	// Sample is the last sample of the History.
	Sample Sample `json:"sample"`
	// Moves and Events are those of the last 10 seconds.
	Moves  []Move  `json:"moves"`
	Events []Event `json:"events"`
	Pages  int     `json:"pages"`
}

// Figures are what requests add up to in some time.
type Figures struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	// Outcomes counts requests by the word of their outcome.
	Outcomes map[string]uint64 `json:"outcomes"`
	// Tokens counts the tokens of prompts by the word of their fate, nil before an answer with usage. Reported are those of answers that say
	// how many were cached; without any, a share of hits must not be shown. Moved counts the moved ones by reason.
	Tokens   map[string]int64 `json:"tokens,omitempty"`
	Reported int64            `json:"reported_tokens,omitempty"`
	Moved    map[string]int64 `json:"moved_tokens,omitempty"`
	// Saved is the computing time that the cached tokens saved, in seconds of a server; nil while no rate has been measured.
	Saved *float64 `json:"saved_seconds,omitempty"`
	// P50 and P99 are times to the first byte in milliseconds, nil without answers.
	P50 *float64 `json:"p50_ms,omitempty"`
	P99 *float64 `json:"p99_ms,omitempty"`
}

// Upstream is what a page shows of an upstream.
type Upstream struct {
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	Health string    `json:"health"` // up, down or unknown
	// Draining and Leaving say that it gets no new conversations.
	Draining bool `json:"draining,omitempty"`
	Leaving  bool `json:"leaving,omitempty"`
	// Models are the first models of its list, MoreModels how many further ones there are.
	Models     []string `json:"models"`
	MoreModels int      `json:"more_models,omitempty"`
	Weight     int      `json:"weight"`
	// Live are the conversations that were used within a minute, or up to 10 s more. Pinned are all.
	Live     int   `json:"live"`
	Pinned   int   `json:"pinned"`
	InFlight int64 `json:"in_flight"`
	// MaxInFlight is the limit of its server, 0 for none.
	MaxInFlight int64 `json:"max_in_flight,omitempty"`
	// Backlog is the work that waits there, in seconds.
	Backlog float64 `json:"backlog_seconds"`
	Rate    float64 `json:"rate"` // requests a second, of the last 5 to 10 seconds
	Minute  Figures `json:"minute"`
	// Sample has the requests and the errors of the last sample of its Line.
	Sample [2]uint32 `json:"sample"`
	// Running, Waiting and KVUsage are what its server says of its engine; nil if it says nothing, or nothing lately.
	Running *int64   `json:"running,omitempty"`
	Waiting *int64   `json:"waiting,omitempty"`
	KVUsage *float64 `json:"kv_usage,omitempty"`
}

// Sample is what was counted in the 10 seconds before At.
type Sample struct {
	At       time.Time         `json:"at"`
	Outcomes map[string]uint32 `json:"outcomes"`
}

// History is the last 15 minutes: a sample each 10 seconds, the oldest first.
type History struct {
	// Every is the time between two samples in seconds.
	Every   float64  `json:"every_seconds"`
	Samples []Sample `json:"samples"`
	// Upstreams has the requests and errors of each upstream, by name. The last one is of the last sample.
	Upstreams map[string]Line `json:"upstreams"`
	// Events are all events that are kept, the oldest first.
	Events []Event `json:"events"`
}

// Line is the requests and the errors of an upstream, by sample.
type Line struct {
	Requests []uint32 `json:"requests"`
	Errors   []uint32 `json:"errors"`
}

// Status is the answer of GET /api/status.
type Status struct {
	Now  Snapshot `json:"now"`
	Past History  `json:"past"`
}
