package sim

import (
	"errors"
	"net/http"
)

// answer is one request and the answer to it. Its writer is the only way to the client.
type answer struct {
	*writer
	srv   *Server
	body  []byte
	seen  *Seen
	model string // as the request named it
}

func newAnswer(l *life, w http.ResponseWriter, r *http.Request) *answer {
	return &answer{writer: newWriter(l, w, r), srv: l.srv}
}

// end answers a problem, and hangs up after any other error.
func (a *answer) end(err error) {
	var p problem
	if errors.As(err, &p) {
		err = a.fail(p)
	}
	if err == nil || errors.Is(err, errOver) {
		return
	}
	a.aborted = true
	a.hangUp()
}
