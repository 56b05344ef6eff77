package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// writeJSON answers with v in JSON.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have left
}

// writeError answers with an error in JSON.
func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, errorBody(status, message))
}

// errorBody is the body of every error of the listener.
func errorBody(status int, message string) any {
	return map[string]any{"error": map[string]any{"message": message, "code": status}}
}

// problem is the error of a request to the API that cannot be fulfilled.
type problem struct {
	status  int    // of the answer
	message string // what is wrong; it repeats nothing of the request
}

func (p *problem) Error() string { return p.message }

// writeProblem answers with err, if it is a *problem; the text of any other error is not shown.
func writeProblem(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{500, "internal error"}
	}
	writeError(w, p.status, p.message)
}

// maxShown limits the name of a model in an answer, in bytes: a client or a server chose it. Longer names end with an
// ellipsis.
const maxShown = 256

func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
