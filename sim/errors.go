package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// problem is an error answer.
type problem struct {
	status  int
	kind    string // error.type
	message string
	param   string // error.param; empty is null
	plain   string // the form {"error": "text"}, of answers made outside of the application
	outside bool   // made outside of the CORS middleware, as unhandled exceptions are
	openAI  bool   // OpenAI's form on every path, as for requests that fail their validation
}

// fail answers with an error in the form that vLLM has for the path.
func (a *answer) fail(p problem) {
	if p.plain != "" || p.outside {
		a.vary = ""
	}
	a.send(p.status, "application/json", p.body(a))
}

func (p problem) body(a *answer) []byte {
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

// anthropic says whether the path speaks Anthropic's form.
func (a *answer) anthropic() bool {
	return strings.HasPrefix(a.r.URL.Path, "/v1/messages")
}

// quote is a JSON string, with <, > and & left as they are.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string has a form always
	return strings.TrimSuffix(b.String(), "\n")
}

// badRequest is vLLM's own 400.
func badRequest(param, format string, args ...any) problem {
	return problem{status: http.StatusBadRequest, kind: "BadRequestError", param: param, message: fmt.Sprintf(format, args...)}
}

// invalid is the 400 of a request that fails FastAPI's validation. Each finding is written as Python writes a dict.
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

func unknownResponse(id string) problem {
	return problem{
		status: http.StatusNotFound, kind: "invalid_request_error", param: "response_id",
		message: fmt.Sprintf("Response with id '%s' not found.", id),
	}
}

// shutdownMessage is what a draining vLLM says of whatever would need its engine.
const shutdownMessage = "cannot schedule new futures after shutdown"

// shuttingDown is what a draining vLLM answers to whatever it would have to tokenize. On messages paths the application
// itself makes it, elsewhere the handler of uncaught exceptions.
func shuttingDown(a *answer) problem {
	return problem{
		status: http.StatusInternalServerError, kind: "InternalServerError", outside: !a.anthropic(),
		message: shutdownMessage,
	}
}
