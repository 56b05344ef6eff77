package proxy

import (
	"errors"
	"strconv"

	"tether/failure"
	"tether/http1"
)

// fault is an answer that tether gives by itself because something is wrong. Nothing of a request is in its texts, and
// of upstreams no more than the configured names of models.
type fault struct {
	status  int
	kind    string // OpenAI's error type
	message string
	// param names the member of the body that is wrong, "" for none.
	param string
	// reason names the fault in metrics and logs.
	reason string
	// retryAfter asks the client to try again in a second.
	retryAfter bool
	// noRetry tells OpenAI's and Anthropic's clients not to try again by themselves.
	noRetry bool
}

// StatusClientLeft is the status of a request whose client left. No answer has it.
const StatusClientLeft = 499

// statusUpgradeRequired is the status of a request for a WebSocket that does not ask for one.
const statusUpgradeRequired = 426

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
	errMalformed       = &fault{status: 400, kind: invalidRequest, reason: "malformed", message: "The request is not valid HTTP/1.1."}
	errMalformedChunks = &fault{status: 400, kind: invalidRequest, reason: "malformed", message: "The request body's chunked coding is malformed."}
	errNoKey           = &fault{status: 401, kind: authentication, reason: "no_key", message: "This server wants an API key, as Authorization: Bearer KEY or as X-Api-Key: KEY."}
	errWrongKey        = &fault{status: 401, kind: authentication, reason: "wrong_key", message: "The API key is not known here."}
	errTwoKeys         = &fault{status: 401, kind: authentication, reason: "two_keys", message: "The request has two different API keys."}
	errNotFound        = &fault{status: 404, kind: notFound, reason: "not_found", message: "This path is not served here."}
	errMethod          = &fault{status: 405, kind: invalidRequest, reason: "method", message: "This path does not take this method."}
	errSlowHead        = &fault{status: 408, kind: invalidRequest, reason: "slow_head", message: "The request's head took too long."}
	errSlowBody        = &fault{status: 408, kind: invalidRequest, reason: "slow_body", message: "The request's body took too long."}
	errBodyTooLarge    = &fault{status: 413, kind: invalidRequest, reason: "body_too_large", message: "The request's body is larger than this server takes."}
	errExpectation     = &fault{status: 417, kind: invalidRequest, reason: "expectation", message: "The expectation is not supported."}
	errWebSocket       = &fault{status: 400, kind: invalidRequest, reason: "websocket", message: "The WebSocket handshake is malformed: it wants one Upgrade, one Sec-WebSocket-Version, one Sec-WebSocket-Key of 16 bytes in base64, and no body."}
	errUpgrade         = &fault{status: statusUpgradeRequired, kind: invalidRequest, reason: "upgrade", message: "This path is a WebSocket: it wants Connection: Upgrade, Upgrade: websocket and Sec-WebSocket-Version: 13."}
	errAddressClients  = &fault{status: 429, kind: rateLimit, reason: "address_connections", message: "Too many connections from this address.", retryAfter: true}
	errManyHeaders     = &fault{status: 431, kind: invalidRequest, reason: "too_many_headers", message: "The request has more header fields than this server takes."}
	errHeadTooLarge    = &fault{status: 431, kind: invalidRequest, reason: "head_too_large", message: "The request's head is larger than this server takes."}
	errVersion         = &fault{status: 505, kind: invalidRequest, reason: "version", message: "Only HTTP/1.0 and HTTP/1.1 are spoken here."}

	errHandshake = &fault{status: 400, reason: "tls"} // there is nobody to answer: it is for metrics alone

	errClientLeft    = &fault{status: StatusClientLeft, reason: "client_left"}
	errClientStalled = &fault{status: StatusClientLeft, reason: "client_stalled"} // it took nothing for client_write_timeout

	errPanic = &fault{status: 500, kind: serverError, reason: "panic", message: "Internal error."}

	errNoAnswer    = &fault{status: 502, kind: serverError, reason: "no_answer", message: "No model server answered."}
	errDied        = &fault{status: 502, kind: serverError, reason: "upstream_died", message: "The model server died over this request.", noRetry: true}
	errBadHead     = &fault{status: 502, kind: serverError, reason: "bad_answer", message: "The model server's answer was malformed."}
	errHeadTimeout = &fault{status: 504, kind: serverError, reason: "head_timeout", message: "The model server did not answer in time."}

	errNobodyUp        = &fault{status: 503, kind: overloaded, reason: "no_upstream", message: "No model server is up.", retryAfter: true}
	errExhausted       = &fault{status: 503, kind: overloaded, reason: "exhausted", message: "Out of connections.", retryAfter: true}
	errTooManyRequests = &fault{status: 503, kind: overloaded, reason: "in_flight", message: "Too many requests in flight.", retryAfter: true}
	errTooManyClients  = &fault{status: 503, kind: overloaded, reason: "connections", message: "Too many connections.", retryAfter: true}
	errBodiesFull      = &fault{status: 503, kind: overloaded, reason: "bodies", message: "Too many large requests at a time.", retryAfter: true}
	errAddressBodies   = &fault{status: 503, kind: overloaded, reason: "address_bodies", message: "Too many large requests from this address at a time.", retryAfter: true}
)

// faultOfGuard maps what the guard refused.
func faultOfGuard(err error) *fault {
	switch {
	case errors.Is(err, http1.ErrVersion):
		return errVersion
	case errors.Is(err, http1.ErrHeadTooLarge):
		return errHeadTooLarge
	case errors.Is(err, http1.ErrManyFields):
		return errManyHeaders
	case errors.Is(err, http1.ErrExpectation):
		return errExpectation
	}
	return errMalformed
}

// faultOfUpstream maps why an attempt brought no answer, where no other attempt follows.
func faultOfUpstream(err error) *fault {
	switch err {
	case failure.Exhausted:
		return errExhausted
	case failure.Cut:
		return errDied
	case failure.BadHead:
		return errBadHead
	case failure.HeadTimeout:
		return errHeadTimeout
	}
	return errNoAnswer
}

// Texts of the statuses that faults have.
var statusText = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large",
	417: "Expectation Failed", 426: "Upgrade Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
	503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}

// appendFault appends the whole answer to dst: head and JSON error, in Anthropic's form where its clients read it.
func appendFault(dst []byte, f *fault, own answerFields, anthropic bool) []byte {
	body := make([]byte, 0, 256)
	if anthropic {
		body = append(body, `{"type":"error","error":{"type":"`+anthropicKind(f)+`","message":"`+f.message+`"}}`...)
	} else {
		body = append(body, `{"error":{"message":"`+f.message+`","type":"`+f.kind+`","param":`+f.paramJSON()+`,"code":`+strconv.Itoa(f.status)+`}}`...)
	}
	dst = appendOwnHead(dst, f.status, len(body), own)
	if f.retryAfter {
		dst = append(dst, "Retry-After: 1\r\n"...)
	}
	if f.status == 401 {
		dst = append(dst, "WWW-Authenticate: Bearer\r\n"...)
	}
	if f.status == statusUpgradeRequired { // RFC 9110 15.5.22, RFC 6455 4.4
		dst = append(dst, webSocket+"Sec-WebSocket-Version: 13\r\n"...)
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

// appendOwnHead appends the head of a JSON answer of tether's own, but for the blank line.
func appendOwnHead(dst []byte, status, length int, own answerFields) []byte {
	text := statusText[status]
	if status == 200 {
		text = "OK"
	}
	dst = append(dst, "HTTP/1.1 "+strconv.Itoa(status)+" "+text+"\r\nContent-Type: application/json\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	return own.append(appendDate(append(dst, "\r\n"...)))
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
