package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// definition describes one metric. docs/METRICS.md shows every definition.
type definition struct {
	name, kind, help string
	labels           []string
}

// definitions holds tether's own metrics in the order of docs/METRICS.md.
var definitions []*definition

func define(kind, name, help string, labels ...string) *definition {
	d := &definition{name: name, kind: kind, help: help, labels: labels}
	definitions = append(definitions, d)
	return d
}

var (
	requestsTotal = define("counter", "tether_requests_total",
		"Completed requests. Status 499: the client left; 101: a WebSocket. Models that no upstream lists count as other.",
		"route", "model", "outcome", "status")
	failuresTotal = define("counter", "tether_request_failures_total",
		"Requests that were refused, failed or cut, by tether's reason, WebSockets included. An error that an upstream returned is no failure here: it shows in the status of tether_requests_total.", "reason")
	refusedTotal = define("counter", "tether_requests_refused_total",
		"Connections and request heads that tether refused before they became a request.", "status", "reason")
	keyRequests = define("counter", "tether_api_key_requests_total",
		"Completed requests by the name of the API key that they carried.", "key")
	keyRefused = define("counter", "tether_api_key_requests_refused_total",
		"Requests that were refused by a limit of their API key, by the name of the key. key_in_flight: max_in_flight; key_rate: requests_per_minute.", "key", "reason")
	keysInForce = define("gauge", "tether_api_keys", "Number of API key names in force, 0 if clients need no key.")
	keyReloads  = define("counter", "tether_api_key_reloads_total",
		"Changes of the API key file. failed: the new content is invalid, and the previous keys stay in force.", "result")
	placementsTotal = define("counter", "tether_placements_total",
		"Sessions that began, by where. home: at the upstream that the ring gives them; away: elsewhere, for one of the reasons of tether_away_total.", "where")
	awayTotal = define("counter", "tether_away_total",
		"Requests that did not go to the pin of their session, or for a new session to its home, by outcome and reason. busier: it was much busier than another upstream; gone: the cache of the session must be gone; hung: it had sent nothing for too long; full: it refuses requests; drain: it is to get no new sessions; down: it is down, has failed or does not serve the model.",
		"outcome", "reason")
	firstByteSeconds = define("histogram", "tether_time_to_first_byte_seconds",
		"Time from the first byte of the request head to the first byte of the response body. WebSockets are not included.", "model", "outcome")
	durationSeconds = define("histogram", "tether_request_duration_seconds",
		"Time from the first byte of the request head to the end of the response or of the WebSocket.", "model")
	fateTokens = define("counter", "tether_prompt_tokens_total",
		"Prompt tokens of the responses that report their usage, by what became of them. hit: the server found them in its prefix cache; new: no server had them, as far as tether knows; moved: another server had them, where the session was before; evicted: the session stayed, and the server no longer had them; restarted: the session stayed, and the server is another process since; unknown: the response does not say how many tokens were cached, or tether does not remember the session's last turn. reason: why they are moved, otherwise empty.",
		"upstream", "fate", "reason")
	promptTokens = define("counter", "tether_reported_prompt_tokens_total",
		"Prompt tokens, of the responses that report how many of them were cached.", "model", "outcome")
	cachedTokens = define("counter", "tether_cached_prompt_tokens_total",
		"Prompt tokens that the server found in its prefix cache.", "model", "outcome")
	expectedTokens = define("counter", "tether_prompt_tokens_expected_cached_total",
		"Prompt tokens that the upstream should have had in its prefix cache: the last prompt of the session, of turns that came soon after one at the same upstream, and whose response reports how many tokens were cached.",
		"upstream")
	foundTokens = define("counter", "tether_prompt_tokens_found_cached_total",
		"Prompt tokens of the same turns that the upstream found in its prefix cache. They may be more than expected: the last answer is cached too.", "upstream")
	bytesIn     = define("counter", "tether_request_body_bytes_total", "Bytes of request bodies, and bytes that clients sent through WebSockets.")
	bytesOut    = define("counter", "tether_response_body_bytes_total", "Bytes of response bodies with their chunk framing, and bytes that upstreams sent through WebSockets.")
	clientsLeft = define("counter", "tether_clients_left_total", "Requests whose client left before the response ended, accepted no byte of it for too long, or closed a WebSocket first without a closing handshake.")

	idsTotal = define("counter", "tether_session_ids_total",
		"Requests by the source of their session id. random: tether generated the id; none: the request has no id.", "source")
	idsIgnored = define("counter", "tether_session_ids_ignored_total",
		"Session ids that tether ignored: invalid ones, and two different ones in one header.")
	idsUnfilled = define("counter", "tether_session_ids_unfilled_total",
		"Requests with a placeholder in place of a session id, such as undefined, null or {{chat_id}}, by the kind of place. It counts as absent. body: a field, or the query parameter of a WebSocket.", "place")
	hotTotal = define("counter", "tether_hot_session_requests_total",
		"Requests that tether spread because more than session.max_in_flight requests were in flight under their session id. Several conversations may share the id. Derived ids and prompt_cache_key have tether_crowd_surplus_total instead.")
	freedTotal = define("counter", "tether_sessions_final_total",
		"Pins that were freed because the client said that the conversation is over, by a header field (session.final_headers) or by POST /finish_session.")
	wideTotal = define("counter", "tether_wide_opening_requests_total",
		"Requests whose derived id counts more than the opening, because many conversations open alike.")
	wideNow      = define("gauge", "tether_wide_openings", "Openings that many conversations share, as far as this process has learned. At most 65536 openings are remembered.")
	surplusTotal = define("counter", "tether_crowd_surplus_total",
		"Requests that tether spread because too many requests under one derived id or prompt_cache_key were in flight.")

	attemptsTotal = define("counter", "tether_attempts_total",
		"Attempts to forward a request, by result. answered: tether passed the response on. exhausted: tether itself had no free descriptor or local port.",
		"upstream", "result")
	replaysTotal = define("counter", "tether_replays_total",
		"Attempts on a fresh connection after the upstream had closed a pooled one.")
	probesTotal  = define("counter", "tether_probes_total", "Health probes by result. The ranks of a server share its probes, which count under the server's name.", "upstream", "result")
	changesTotal = define("counter", "tether_upstream_changes_total", "Changes of an upstream's health, by the new health.", "upstream", "to")

	upstreamUp       = define("gauge", "tether_upstream_up", "1 if the upstream is up, else 0.", "upstream")
	upstreamState    = define("gauge", "tether_upstream_state", "1 while the upstream is in the state, else 0.", "upstream", "state")
	upstreamInFlight = define("gauge", "tether_upstream_requests_in_flight", "Requests in flight at the upstream, open WebSockets included.", "upstream")
	upstreamLimit    = define("gauge", "tether_upstream_max_in_flight", "Limit of the requests in flight at the upstream's server, all its ranks together; 0 for no limit.", "upstream")
	upstreamBacklog  = define("gauge", "tether_upstream_backlog_seconds", "Time that the upstream needs for the prompts and requests that tether has sent there, as placement counts it.", "upstream")
	upstreamPins     = define("gauge", "tether_upstream_pins", "Sessions pinned to the upstream.", "upstream")
	upstreamActive   = define("gauge", "tether_upstream_active_sessions", "Sessions pinned to the upstream that were used within 5 minutes, or up to 10 s more.", "upstream")

	engineRunning = define("gauge", "tether_upstream_engine_requests_running", "Requests that the upstream's engine computes, as its server says (health.metrics_path). Absent if that is unknown or older than 5 s; so are the next two.", "upstream")
	engineWaiting = define("gauge", "tether_upstream_engine_requests_waiting", "Requests in the queue of the upstream's engine.", "upstream")
	engineKVUsage = define("gauge", "tether_upstream_kv_usage_ratio", "Part of the upstream's KV cache that requests hold, 0 to 1.", "upstream")
	engineKVSize  = define("gauge", "tether_upstream_kv_capacity_tokens", "Size of the upstream's KV cache, as its server says. Absent if it is unknown.", "upstream")

	sessionsNow    = define("gauge", "tether_sessions", "Sessions in the session map.")
	sessionsMax    = define("gauge", "tether_sessions_max", "Capacity of the session map.")
	probationNow   = define("gauge", "tether_sessions_on_probation", "Sessions whose id tether derived or generated, and that were used only once so far.")
	evictionsTotal = define("counter", "tether_session_evictions_total", "Sessions that left the map, by cause.", "cause")

	storedNow     = define("gauge", "tether_stored_responses", "Stored responses whose upstream tether remembers.")
	storedMax     = define("gauge", "tether_stored_responses_max", "Limit of the stored responses that tether remembers.")
	storedEvicted = define("counter", "tether_stored_response_evictions_total", "Stored responses that tether forgot, by cause.", "cause")

	prefillRate = define("gauge", "tether_model_prefill_tokens_per_second",
		"Tokens of prompts that a server of the model reads in a second: models.prefill_rate, or learned, 32000 until known. Only models that a server lists or the configuration names have series.", "model")
	bytesPerToken = define("gauge", "tether_model_bytes_per_token", "Bytes of a request body for each token of its prompt, learned, 4 until known.", "model")
	mediaTokens   = define("gauge", "tether_model_media_tokens", "Tokens of a picture or a recording in a prompt, learned, 1000 until known.", "model")
	warmTokens    = define("gauge", "tether_model_warm_tokens",
		"Tokens in the last prompts of the sessions that had a turn within tether_model_warm_seconds: what the caches must hold so that every session finds its prompt.", "model")
	warmSeconds = define("gauge", "tether_model_warm_seconds", "Twice the 95th percentile of the pauses between the turns of a session, 30 to 600.", "model")
	fitTokens   = define("gauge", "tether_model_cache_tokens",
		"Tokens that the caches of the upstreams hold together that are up and list the model; 0 if one of them does not say how large its cache is.", "model")
	shortfall = define("gauge", "tether_model_cache_shortfall_ratio",
		"Share of the tokens expected in the caches that the upstreams did not find there, 0..1, over about the last 30 s; 0 with too few turns.", "model")
	overrun = define("gauge", "tether_model_caches_overrun", "1 while the caches lose prompts that are needed again: from a shortfall of 0.1 until it is below 0.05.", "model")

	sourceUpstreams = define("gauge", "tether_discovery_upstreams",
		"Upstreams that the source of the configuration's list discovery found last. source: file:PATH, dns:NAME, dns:NAME/TYPE or kubernetes:NAMESPACE/SERVICE.", "source")
	sourceSuccess = define("gauge", "tether_discovery_last_success_timestamp_seconds",
		"Unix time when the source last knew all its upstreams, 0 for never. Since then the upstreams of that time have been in force.", "source")
	sourceErrors = define("counter", "tether_discovery_errors_total",
		"Looks of the source that found no usable set of upstreams: the last set stays in force.", "source")
	certificateExpires = define("gauge", "tether_certificate_expires_timestamp_seconds",
		"Unix time when the certificate expires. of: listener, or upstream NAME for the certificate that tether presents to it.", "of")
	certificateReloads = define("counter", "tether_certificate_reloads_total",
		"Changes of certificate files. failed: the new files are invalid, and the previous ones stay in force.", "result")

	snapshotsTotal = define("counter", "tether_session_snapshots_total",
		"Snapshots of the session map that tether wrote (session.snapshot). failed: the disk is full or does not accept it, and the last one stays.", "result")
	snapshotLast = define("gauge", "tether_session_snapshot_last_success_timestamp_seconds", "Unix time when a snapshot was last written, 0 before the first one.")

	storeUp       = define("gauge", "tether_store_up", "1 if what this process tells the store comes back from it, else 0. Without session.store there are no metrics of a store.")
	storeEntryAge = define("gauge", "tether_store_last_entry_age_seconds", "Time since the last entry of the store was applied, -1 before the first one. Every replica adds one each second.")
	storeReplicas = define("gauge", "tether_store_replicas", "Processes that have shown signs of life in the store within 5 s, this one included.")
	storeSubjects = define("gauge", "tether_store_subjects", "Sessions and stored responses that this process knows of through the store.")
	storeUnderWay = define("gauge", "tether_store_under_way", "Changes of this process that are not back from the store yet. It grows while the store does not work.")
	storeDropped  = define("counter", "tether_store_changes_dropped_total", "Changes of this process that had no room on their way to the store.")
	storeSent     = define("counter", "tether_store_sent_total", "Sessions and stored responses that this process has told the store of.")
	storeReceived = define("counter", "tether_store_entries_total", "Entries of the store that this process has applied.")
	storeIgnored  = define("counter", "tether_store_entries_ignored_total", "Entries of the store that this process has ignored. damaged: not written by tether; version: by another version; secret: under another session secret.", "reason")
	storeTellers  = define("gauge", "tether_store_load_replicas", "Other processes that tell how busy they keep upstreams, and whose load counts here.")
	storeReports  = define("counter", "tether_store_load_reports_total", "Reports of the load of other processes that counted.")

	storeReportsIgnored = define("counter", "tether_store_load_reports_ignored_total", "Reports of load that were damaged, late, of another version or of another secret.")

	configReloads = define("counter", "tether_config_reloads_total",
		"Reloads of the configuration. failed: it is invalid, and the previous one stays in force.", "result")
	configOK     = define("gauge", "tether_config_last_reload_successful", "1 if the configuration that was loaded last is in force, 0 if it is invalid.")
	configLoaded = define("gauge", "tether_config_last_reload_success_timestamp_seconds", "Unix time when a configuration last came into force, that of the start included.")

	traceSpans = define("counter", "tether_trace_spans_total",
		"Spans by result. exported: the collector has taken them; failed: it has not; dropped: too many waited. Absent unless tracing.endpoint is set.", "result")

	requestsNow       = define("gauge", "tether_requests_in_flight", "Requests in flight, open WebSockets included.")
	connectionsNow    = define("gauge", "tether_client_connections", "Open client connections.")
	displaced         = define("counter", "tether_client_connections_displaced_total", "Client connections without a whole request that tether closed to accept others, or for lack of descriptors.")
	acceptFailures    = define("counter", "tether_accept_failures_total", "Failed attempts to accept a client, for lack of descriptors or memory.")
	idleClosed        = define("counter", "tether_idle_client_connections_closed_total", "Client connections that tether closed because they stayed silent.")
	bodiesNow         = define("gauge", "tether_request_body_buffer_bytes", "Memory that buffered request bodies take.")
	linesDropped      = define("counter", "tether_log_lines_dropped_total", "Log lines that tether dropped because standard output (access) or standard error (app) did not accept them.", "log")
	replicasSuspected = define("gauge", "tether_replicas_suspected", "1 if this process seems to be one of several that do not share their pins: requests that follow answers of other processes keep coming. With session.placement: auto it then places by the ring alone.")
	statusPages       = define("gauge", "tether_status_pages", "Open status pages, at most 100.")
	ringInfo          = define("gauge", "tether_ring_info", "Always 1. The digest is equal on all replicas that place sessions alike.", "digest")
	buildInfo         = define("gauge", "tether_build_info", "Always 1. The labels have the versions of tether and Go.", "version", "goversion")
)

// timeBuckets are the upper bounds of the histograms in seconds: 1 ms to 10 min.
var timeBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

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
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: timeBuckets}, d.labels)
}

func (d *definition) desc() *prometheus.Desc {
	return prometheus.NewDesc(d.name, d.help, d.labels, nil)
}

// descs are the descriptions of the metrics of a collector.
type descs map[*definition]*prometheus.Desc

func describe(all ...*definition) descs {
	ds := descs{}
	for _, d := range all {
		ds[d] = d.desc()
	}
	return ds
}

// show sends all of them.
func (ds descs) show(ch chan<- *prometheus.Desc) {
	for _, d := range ds {
		ch <- d
	}
}

// emit sends the value of d, as a gauge or a counter.
func (ds descs) emit(ch chan<- prometheus.Metric, d *definition, v float64, labels ...string) {
	kind := prometheus.GaugeValue
	if d.kind == "counter" {
		kind = prometheus.CounterValue
	}
	ch <- prometheus.MustNewConstMetric(ds[d], kind, v, labels...)
}
