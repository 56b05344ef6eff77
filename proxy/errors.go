package proxy

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"tether/http1"
)

// fault is an answer of tether's own because something is wrong. Its texts hold nothing of a request, and
// of upstreams no more than the configured names of models.
type fault struct {
	status  int
	kind    string // OpenAI's error type
	message string
	// param names the wrong member of the body, "" for none.
	param string
	// code is OpenAI's word for the fault, "" where its code is the status, as in vLLM's errors.
	code string
	// reason names the fault in metrics and logs.
	reason string
	// retryAfter asks the client to try again in a second, or when the caller's next request may begin.
	retryAfter bool
	// noRetry tells OpenAI's and Anthropic's clients not to try again by themselves.
	noRetry bool
}

// StatusClientLeft is the status of a request whose client left. No answer has it.
const StatusClientLeft = 499

// The kinds of faults, in OpenAI's words.
const (
	invalidRequest = "invalid_request_error"
	notFound       = "not_found_error"
	serverError    = "server_error"
	overloaded     = "overloaded_error"
	authentication = "authentication_error"
	rateLimit      = "rate_limit_error"
)

var (
	faultMalformed       = &fault{status: 400, kind: invalidRequest, reason: "malformed", message: "The request is not valid HTTP/1.1."}
	faultMalformedChunks = &fault{status: 400, kind: invalidRequest, reason: "malformed", message: "The request body's chunked coding is malformed."}
	faultOrigin          = &fault{status: 400, kind: invalidRequest, reason: "cors_origin", message: "Pages of this origin may not ask this server: the operator can add the origin to proxy.cors_origins."}
	faultNoKey           = &fault{status: 401, kind: authentication, reason: "no_key", message: "This server wants an API key, as Authorization: Bearer KEY or as X-Api-Key: KEY."}
	faultWrongKey        = &fault{status: 401, kind: authentication, reason: "wrong_key", message: "The API key is not known here."}
	faultTwoKeys         = &fault{status: 401, kind: authentication, reason: "two_keys", message: "The request has two different API keys."}
	faultNotFound        = &fault{status: 404, kind: notFound, reason: "not_found", message: "This path is not served here."}
	faultNoModel         = &fault{status: 404, kind: invalidRequest, param: "model", code: "model_not_found", reason: "model_not_found", message: "The model does not exist here. GET /v1/models lists those that do."}
	faultNoSession       = &fault{status: 400, kind: invalidRequest, reason: "no_session", message: "The request names no session of its own: send its id in X-Session-Id, or as session_id in the body."}
	faultModelsUnknown   = &fault{status: 404, kind: notFound, param: "model", reason: "models_unknown", message: "The model servers show their models only with an API key of theirs: ask GET /v1/models with it, or let the operator set upstreams[].api_key_file."}
	faultMethod          = &fault{status: 405, kind: invalidRequest, reason: "method", message: "This path does not take this method."}
	faultSlowHead        = &fault{status: 408, kind: invalidRequest, reason: "slow_head", message: "The request's head took too long."}
	faultSlowBody        = &fault{status: 408, kind: invalidRequest, reason: "slow_body", message: "The request's body took too long."}
	faultBodyTooLarge    = &fault{status: 413, kind: invalidRequest, reason: "body_too_large", message: "The request's body is larger than this server takes."}
	faultExpectation     = &fault{status: 417, kind: invalidRequest, reason: "expectation", message: "The expectation is not supported."}
	faultWebSocket       = &fault{status: 400, kind: invalidRequest, reason: "websocket", message: "The WebSocket handshake is malformed: it wants one Upgrade, one Sec-WebSocket-Version, one Sec-WebSocket-Key of 16 bytes in base64, and no body."}
	faultUpgrade         = &fault{status: http.StatusUpgradeRequired, kind: invalidRequest, reason: "upgrade", message: "This path is a WebSocket: it wants Connection: Upgrade, Upgrade: websocket and Sec-WebSocket-Version: 13."}
	// Codex first asks for a WebSocket at /v1/responses. After a 426 it goes on with POST at once, after a 405 in 5 to 10 s.
	faultNoWebSocket    = &fault{status: http.StatusUpgradeRequired, kind: invalidRequest, reason: "no_websocket", message: "This path is no WebSocket: only HTTP/1.1 is spoken here."}
	faultAddressClients = &fault{status: 429, kind: rateLimit, reason: "address_connections", message: "Too many connections from this address.", retryAfter: true}
	faultKeyInFlight    = &fault{status: 429, kind: rateLimit, code: "rate_limit_exceeded", reason: "key_in_flight", message: "This API key has as many requests in flight as it may have.", retryAfter: true}
	faultKeyRate        = &fault{status: 429, kind: rateLimit, code: "rate_limit_exceeded", reason: "key_rate", message: "This API key has begun as many requests as it may in a minute.", retryAfter: true}
	faultManyHeaders    = &fault{status: 431, kind: invalidRequest, reason: "too_many_headers", message: "The request has more header fields than this server takes."}
	faultHeadTooLarge   = &fault{status: 431, kind: invalidRequest, reason: "head_too_large", message: "The request's head is larger than this server takes."}
	faultVersion        = &fault{status: 505, kind: invalidRequest, reason: "version", message: "Only HTTP/1.0 and HTTP/1.1 are spoken here."}

	faultHandshake = &fault{status: 400, reason: "tls"} // for metrics alone: without TLS there is no answer

	faultClientGone    = &fault{status: StatusClientLeft, reason: "client_left"}
	faultClientStalled = &fault{status: StatusClientLeft, reason: "client_stalled"} // the client took nothing for client_write_timeout

	faultPanic = &fault{status: 500, kind: serverError, reason: "panic", message: "Internal error."}

	faultNoAnswer    = &fault{status: 502, kind: serverError, reason: "no_answer", message: "No model server answered."}
	faultDied        = &fault{status: 502, kind: serverError, reason: "upstream_died", message: "The model server died over this request.", noRetry: true}
	faultBadHead     = &fault{status: 502, kind: serverError, reason: "bad_answer", message: "The model server's answer was malformed."}
	faultHeadTimeout = &fault{status: 504, kind: serverError, reason: "head_timeout", message: "The model server did not answer in time."}

	faultNoUpstream      = &fault{status: 503, kind: overloaded, reason: "no_upstream", message: "No model server is up.", retryAfter: true}
	faultResponseDown    = &fault{status: 503, kind: overloaded, reason: "response_down", message: "The model server that has the response is down: try again, or send the conversation without a reference to a response.", retryAfter: true}
	faultShed            = &fault{status: 503, kind: overloaded, reason: "shed", message: "The model servers are busy, and take no new conversations for now.", retryAfter: true}
	faultExhausted       = &fault{status: 503, kind: overloaded, reason: "exhausted", message: "Out of connections.", retryAfter: true}
	faultUpstreamsFull   = &fault{status: 503, kind: overloaded, reason: "upstreams_full", message: "All model servers have as many requests as they may have.", retryAfter: true}
	faultTooManyRequests = &fault{status: 503, kind: overloaded, reason: "in_flight", message: "Too many requests in flight.", retryAfter: true}
	faultTooManyClients  = &fault{status: 503, kind: overloaded, reason: "connections", message: "Too many connections.", retryAfter: true}
	faultBodiesFull      = &fault{status: 503, kind: overloaded, reason: "bodies", message: "Too many large requests at a time.", retryAfter: true}
	faultAddressBodies   = &fault{status: 503, kind: overloaded, reason: "address_bodies", message: "Too many large requests from this address at a time.", retryAfter: true}
)

// faultOfGuard gives the answer to a head that the guard refused.
func faultOfGuard(err error) *fault {
	switch {
	case errors.Is(err, http1.ErrVersion):
		return faultVersion
	case errors.Is(err, http1.ErrHeadTooLarge):
		return faultHeadTooLarge
	case errors.Is(err, http1.ErrManyFields):
		return faultManyHeaders
	case errors.Is(err, http1.ErrExpectation):
		return faultExpectation
	}
	return faultMalformed
}

// appendFault appends the whole answer to dst: head and JSON error, in the form that clients of the API a read.
func appendFault(dst []byte, f *fault, own answerFields, a api) []byte {
	body := make([]byte, 0, 256)
	switch a {
	case messagesAPI:
		body = append(body, `{"type":"error","error":{"type":"`+anthropicKind(f)+`","message":"`+f.message+`"}}`...)
	case cohereAPI:
		body = append(body, `{"message":"`+f.message+`"}`...)
	default:
		body = append(body, `{"error":{"message":"`+f.message+`","type":"`+f.kind+`","param":`+f.paramJSON()+`,"code":`+f.codeJSON()+`}}`...)
	}
	dst = appendOwnHead(dst, f.status, len(body), own)
	if f.retryAfter {
		dst = appendNumber(dst, "Retry-After: ", max(1, int64(math.Ceil(own.wait.Seconds()))))
	}
	if f.status == 401 {
		dst = append(dst, "WWW-Authenticate: Bearer\r\n"...)
	}
	switch f { // 426 names what is spoken here (RFC 9110 15.5.22)
	case faultUpgrade:
		dst = append(dst, webSocket+"Sec-WebSocket-Version: 13\r\n"...) // RFC 6455 4.4
	case faultNoWebSocket:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: HTTP/1.1\r\n"...)
	}
	if f.noRetry {
		dst = append(dst, "X-Should-Retry: false\r\n"...)
	}
	return append(append(dst, "\r\n"...), body...)
}

func (f *fault) paramJSON() string {
	if f.param == "" {
		return "null"
	}
	return `"` + f.param + `"`
}

func (f *fault) codeJSON() string {
	if f.code == "" {
		return strconv.Itoa(f.status)
	}
	return `"` + f.code + `"`
}

// appendOwnHead appends the head of an answer of tether's own, without the blank line. The body is JSON of that length, or nothing.
func appendOwnHead(dst []byte, status, length int, own answerFields) []byte {
	dst = append(dst, "HTTP/1.1 "+strconv.Itoa(status)+" "+http.StatusText(status)+"\r\n"...)
	if length > 0 {
		dst = append(dst, "Content-Type: application/json\r\n"...)
	}
	if status != http.StatusNoContent { // RFC 9110 8.6
		dst = appendNumber(dst, "Content-Length: ", int64(length))
	}
	dst = time.Now().UTC().AppendFormat(append(dst, "Date: "...), http.TimeFormat)
	dst = own.append(append(dst, "\r\n"...))
	if own.cors != nil {
		dst = append(own.cors.append(dst, own.origin), varyByOrigin...)
	}
	return dst
}

// anthropicKind is the error type of Anthropic's API for a fault's status.
func anthropicKind(f *fault) string {
	switch {
	case f.status == 401:
		return authentication
	case f.status == 413:
		return "request_too_large"
	case f.status == 429:
		return rateLimit
	case f.status == 503:
		return "overloaded_error"
	case f.status >= 500:
		return "api_error"
	case f.status == 404:
		return "not_found_error"
	}
	return "invalid_request_error"
}
