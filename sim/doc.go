// Package sim is a simulated vLLM server: what a proxy and the official client libraries see of one, without a GPU.
//
// It owns the HTTP surface that vLLM 0.32.0 shows (chat, completions, responses, messages, models, health, metrics, and
// minimal forms of the calls without affinity and of the WebSocket /v1/realtime), vLLM's framing of event streams, a block-LRU prefix cache whose misses
// cost time, a queue behind a bounded number of running requests, uvicorn's manners on the connection, vLLM's way of
// shutting down, and faults on request. Where it and a real vLLM differ, the real one is right; the golden files in
// testdata were read off one.
//
// It does not own a model (the text is derived from the prompt, and means nothing), tool calls, sampling, stop strings,
// log probabilities, TLS, or vLLM's operator calls. It shares no code with the proxy under test: it is built on net/http and
// coder/websocket, and imports nothing of this module but its own parts.
//
// It is called by the tests of the other packages, by the demo, by the benchmarks, and by the command "tether sim" (Run).
//
// A request passes serve.go, misbehave.go (faults before the answer), route.go, one file per call, the engine
// (sim/engine), and answer.go (faults within the answer). Package sim/fault says which faults apply.
//
// Goroutines: one per listening period (life.serve, ends with its listener), one per background response
// (ends with its generation, its cancel or the server), one per WebSocket, and those of net/http, which end with their
// connections.
package sim
