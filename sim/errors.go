package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// problem is an error that is answered.
type problem struct {
	status   int
	kind     string // error.type
	message  string
	param    string // error.param; empty is null
	plain    string // the form {"error": "text"}, of answers made before the application
	outside  bool   // made outside of the CORS middleware, as the answer to an unhandled exception is
	openAI   bool   // in OpenAI's form on every path, as answers to requests that fail their validation are
	inStream bool   // found when the head of the event stream is out: an event
}

// Error is the message, for the type to be an error.
func (p problem) Error() string { return p.message }

// fail answers a problem in the form that vLLM has for the path.
func (a *answer) fail(p problem) error {
	if p.inStream {
		return a.failStream(p)
	}
	if p.plain != "" || p.outside {
		a.vary = ""
	}
	a.send(p.status, "application/json", a.problemBody(p))
	return nil
}

func (a *answer) problemBody(p problem) []byte {
	switch {
	case p.plain != "":
		return fmt.Appendf(nil, `{"error":%s}`, quote(p.plain))
	case a.anthropic() && !p.openAI:
		return fmt.Appendf(nil, `{"type":"error","error":{"type":%s,"message":%s}}`, quote(p.kind), quote(p.message))
	}
	param := "null"
	if p.param != "" {
		param = quote(p.param)
	}
	return fmt.Appendf(nil, `{"error":{"message":%s,"type":%s,"param":%s,"code":%d}}`,
		quote(p.message), quote(p.kind), param, p.status)
}

// messagesStreamError is the event of every error within a stream of messages. vLLM 0.32.0 fails there on its own error.
const messagesStreamError = `{"type":"error","error":{"type":"internal_error","message":"2 validation errors for ChatCompletionStreamResponse\n` +
	`model\n  Field required [type=missing, input_value={'error': {'message': 'da...am': None, 'code': 400}}, input_type=dict]\n` +
	`    For further information visit https://errors.pydantic.dev/2.14/v/missing\n` +
	`choices\n  Field required [type=missing, input_value={'error': {'message': 'da...am': None, 'code': 400}}, input_type=dict]\n` +
	`    For further information visit https://errors.pydantic.dev/2.14/v/missing"}}`

// failStream answers a problem in an event of a stream.
func (a *answer) failStream(p problem) error {
	return a.stream(func() error {
		if a.anthropic() {
			return a.event("error", []byte(messagesStreamError))
		}
		event := fmt.Appendf(nil, `{"error": {"message": %s, "type": %s, "param": null, "code": %d}}`, quote(p.message), quote(p.kind), p.status)
		if err := a.event("", event); err != nil {
			return err
		}
		return a.done()
	})
}

// anthropic reports whether the path speaks Anthropic's form.
func (a *answer) anthropic() bool {
	return strings.HasPrefix(a.r.URL.Path, "/v1/messages")
}

// quote returns a JSON string. It leaves <, > and & as they are.
func quote(s string) string { return string(encode(s)) }

// encode returns JSON without a newline. It leaves <, > and & as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings always have a form; raw parts were read as JSON, or are ours
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// each writes the items of a JSON list, separated by commas.
func each[T any](list []T, item func(i int, of T) string) string {
	items := make([]string, len(list))
	for i, of := range list {
		items[i] = item(i, of)
	}
	return strings.Join(items, ",")
}

// badRequest is vLLM's own 400.
func badRequest(param, format string, args ...any) problem {
	return problem{status: http.StatusBadRequest, kind: "BadRequestError", param: param, message: fmt.Sprintf(format, args...)}
}

// invalid is the 400 to a request that fails FastAPI's validation. Each finding is written as Python writes a dict.
func invalid(param string, findings ...string) problem {
	label := "1 validation error"
	if len(findings) != 1 {
		label = fmt.Sprintf("%d validation errors", len(findings))
	}
	return problem{
		status: http.StatusBadRequest, kind: "Bad Request", param: param, openAI: true,
		message: label + ":\n  " + strings.Join(findings, "\n  "),
	}
}

func finding(kind, loc, msg, input string) string {
	return fmt.Sprintf("{'type': '%s', 'loc': '%s', 'msg': '%s', 'input': '%s'}", kind, loc, msg, input)
}

func unknownModel(name string, served []string) problem {
	return problem{
		status: http.StatusNotFound, kind: "NotFoundError", param: "model",
		message: fmt.Sprintf("The model `%s` does not exist. Valid aliases: %s.", name, strings.Join(served, ", ")),
	}
}

// shutdownMessage is the error of a draining vLLM for whatever would need its engine.
const shutdownMessage = "cannot schedule new futures after shutdown"

// queueFull is the answer of vLLM 0.32.0's admission control: of --max-num-queued-tokens, or else of --max-num-queued-reqs.
func queueFull(tokens bool) problem {
	reached := "The engine is currently busy and cannot accept new requests."
	if tokens {
		reached = "The engine has reached its prefill token backlog limit."
	}
	return problem{
		status: http.StatusServiceUnavailable, kind: http.StatusText(http.StatusServiceUnavailable),
		message: reached + " Please try again later or on a different instance.",
	}
}

// shuttingDown is the answer of a draining vLLM to whatever it would have to tokenize. On messages paths the application
// makes it, elsewhere the handler of uncaught exceptions.
func (a *answer) shuttingDown() problem {
	return problem{
		status: http.StatusInternalServerError, kind: "InternalServerError", outside: !a.anthropic(), message: shutdownMessage,
	}
}
