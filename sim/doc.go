// Package sim is a simulated vLLM server: it shows a proxy, or an official client library, what vLLM would show, without a GPU.
//
// It owns the HTTP API of vLLM 0.32.0: chat, completions, responses, messages, models, health, metrics, and minimal forms of the
// calls without affinity and of the WebSocket /v1/realtime. It also owns vLLM's framing of event streams, uvicorn's behavior on
// the connection, vLLM's way of shutting down, and the faults that a test asks for. Package sim/engine computes the answers, with
// a prefix cache whose misses cost time; package sim/fault says which faults apply. Where the simulator and a real vLLM differ,
// the real one is right.
//
// It does not own a model (the text of an answer follows from the prompt and means nothing), tool calls, sampling, stop strings,
// log probabilities, TLS, or vLLM's operator calls. It shares no code with the proxy under test: it is built on net/http and
// coder/websocket, and imports nothing else of this module but its own parts.
//
// It is used by the tests of the other packages, by the demo, and by the command "tether sim" (Run).
//
// A request passes answer.go, misbehave.go (faults before the answer), route.go, the file of its call, call.go (checks, engine),
// stream.go (whole answer or events), and writer.go and cut.go (faults within the answer).
//
// All other files are tested in golden_test.go, against answers of a real vLLM in testdata, and in server_test.go and life_test.go, by
// the ways in which a server ends.
//
// Goroutines: one for each life (life.serve, ends with its listener), one for each background response (ends with its
// generation, its cancel or the server), one for each WebSocket, and those of net/http, which end with their connections.
package sim
