package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// definition is a metric as docs/METRICS.md has it.
type definition struct {
	name, kind, help string
	labels           []string
}

// definitions are all metrics of tether's own, in the order of the documentation.
var definitions []*definition

func define(kind, name, help string, labels ...string) *definition {
	d := &definition{name: name, kind: kind, help: help, labels: labels}
	definitions = append(definitions, d)
	return d
}

var (
	requestsTotal = define("counter", "tether_requests_total",
		"Requests that are over. Status 499: the client left; 101: a WebSocket. Model: as some upstream lists it, else other.",
		"route", "model", "outcome", "status")
	failuresTotal = define("counter", "tether_request_failures_total",
		"Requests that were refused, failed or cut, by tether's reason, WebSockets included. Errors that upstreams answered are in the requests' status.", "reason")
	refusedTotal = define("counter", "tether_requests_refused_total",
		"Connections and request heads refused before there was a request.", "status", "reason")
	keyRequests = define("counter", "tether_api_key_requests_total",
		"Requests that are over, by the name of the API key that they came with.", "key")
	keysNow    = define("gauge", "tether_api_keys", "Names of API keys in force, 0 where none is wanted.")
	keyReloads = define("counter", "tether_api_key_reloads_total",
		"New contents of the file of API keys; failed: it cannot be used, and the keys before stay in force.", "result")
	firstByteSeconds = define("histogram", "tether_time_to_first_byte_seconds",
		"Time from the first byte of a request's head to the first byte of its answer's body. A WebSocket has none.", "model", "outcome")
	durationSeconds = define("histogram", "tether_request_duration_seconds",
		"Time from the first byte of a request's head to the end of its answer, or of its WebSocket.", "model")
	promptTokens = define("counter", "tether_prompt_tokens_total",
		"Tokens of prompts whose answers say how many of them were cached.", "model", "outcome")
	cachedTokens = define("counter", "tether_cached_prompt_tokens_total",
		"Tokens of prompts that the server had in its prefix cache.", "model", "outcome")
	bytesIn     = define("counter", "tether_request_body_bytes_total", "Bytes of request bodies, and of what came through WebSockets from clients.")
	bytesOut    = define("counter", "tether_response_body_bytes_total", "Bytes of answers' bodies, with the framing of chunks, and of what came through WebSockets from upstreams.")
	clientsLeft = define("counter", "tether_clients_left_total", "Requests whose client left before the end of the answer, took nothing of it for too long, or closed a WebSocket first, without a closing handshake.")

	idsTotal = define("counter", "tether_session_ids_total",
		"Requests by the source of their session id; random: tether made one, none: there is none.", "source")
	idsIgnored = define("counter", "tether_session_ids_ignored_total",
		"Session ids that were passed over: invalid, or two different ones in one header.")
	surplusTotal = define("counter", "tether_crowd_surplus_total",
		"Requests that were spread because too many were in flight under one derived id or prompt_cache_key.")

	attemptsTotal = define("counter", "tether_attempts_total",
		"Attempts at upstreams, by what they came to. answered: the answer was passed on. Exhausted ones failed for want of tether's own descriptors or ports.",
		"upstream", "result")
	replaysTotal = define("counter", "tether_replays_total",
		"Attempts on a fresh connection after the upstream had closed a kept one.")
	probesTotal  = define("counter", "tether_probes_total", "Health probes, by result. All ranks of a server have the same probes, counted under its own name.", "upstream", "result")
	changesTotal = define("counter", "tether_upstream_changes_total", "Changes of upstreams' health.", "upstream", "to")

	upstreamUp       = define("gauge", "tether_upstream_up", "1 when health finds the upstream up.", "upstream")
	upstreamState    = define("gauge", "tether_upstream_state", "1 while the upstream is in the state.", "upstream", "state")
	upstreamInFlight = define("gauge", "tether_upstream_requests_in_flight", "Requests in flight at the upstream, open WebSockets included.", "upstream")
	upstreamPins     = define("gauge", "tether_upstream_pins", "Sessions pinned to the upstream.", "upstream")

	sessionsNow    = define("gauge", "tether_sessions", "Sessions in the map.")
	sessionsMax    = define("gauge", "tether_sessions_max", "Sessions that the map has room for.")
	probationNow   = define("gauge", "tether_sessions_on_probation", "Sessions of made-up ids that were used once.")
	evictionsTotal = define("counter", "tether_session_evictions_total", "Sessions that were forgotten, by cause.", "cause")

	storedNow     = define("gauge", "tether_stored_responses", "Stored responses of which it is known where they are.")
	storedMax     = define("gauge", "tether_stored_responses_max", "Stored responses that there is room to know of.")
	storedEvicted = define("counter", "tether_stored_response_evictions_total", "Stored responses that were forgotten, by cause.", "cause")

	certificateExpires = define("gauge", "tether_certificate_expires_timestamp_seconds",
		"When the certificate is no longer valid; of: listener, or upstream NAME, to which it is shown.", "of")
	certificateReloads = define("counter", "tether_certificate_reloads_total",
		"Files of certificates that changed; failed: they cannot be used, and what was before stays in force.", "result")

	requestsNow    = define("gauge", "tether_requests_in_flight", "Requests in flight, open WebSockets included.")
	connectionsNow = define("gauge", "tether_client_connections", "Clients' connections.")
	displaced      = define("counter", "tether_client_connections_displaced_total", "Clients' connections that were closed, without a whole request, to make room for others.")
	acceptFailures = define("counter", "tether_accept_failures_total", "Times that a client could not be accepted, for want of descriptors or memory.")
	idleClosed     = define("counter", "tether_idle_client_connections_closed_total", "Clients' connections that were closed because nothing came.")
	bodiesNow      = define("gauge", "tether_request_body_buffer_bytes", "Memory that buffered request bodies take.")
	ringInfo       = define("gauge", "tether_ring_info", "1, labelled with the ring's digest: equal on all replicas that agree.", "digest")
	buildInfo      = define("gauge", "tether_build_info", "1, labelled with the version.", "version", "goversion")
)

// seconds are the buckets of times: 1 ms to 10 min.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

func counterVec(d *definition) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.labels)
}

func counter(d *definition) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: d.name, Help: d.help})
}

func gauge(d *definition) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: d.name, Help: d.help})
}

func gaugeVec(d *definition) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.name, Help: d.help}, d.labels)
}

func histogramVec(d *definition) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: seconds}, d.labels)
}

func (d *definition) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.name, d.help, d.labels, nil)
}

func statusWord(status int) string { return strconv.Itoa(status) }
