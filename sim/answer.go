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

func (l *life) handle(w http.ResponseWriter, r *http.Request) {
	a := &answer{writer: newWriter(l, w, r), srv: l.srv}
	if !l.enter() {
		_ = a.hangUp()
		return
	}
	defer l.exit()
	l.conns.setAnswering(connOf(r), true)
	if r.URL.Path == "/sim/fault" {
		l.srv.faults.ServeHTTP(w, r)
		return
	}
	defer a.report()
	defer a.unblock()()
	a.end(a.serve())
}

// serve takes a request from its first byte to its answer: faults, body, API key, call. An error is a problem, which is still
// to be answered, or the reason why the answer cannot be completed.
func (a *answer) serve() error {
	faults, faultErr := a.srv.faults.Take(a.r.URL.Path, a.r.Header.Get("X-Sim-Fault"))
	a.faults = faults
	if err := a.early(); err != nil {
		return err
	}
	if err := a.receive(); err != nil {
		return err
	}
	if faultErr != nil {
		return problem{status: http.StatusBadRequest, kind: "BadRequestError", message: "sim: " + faultErr.Error(), param: "X-Sim-Fault"}
	}
	if err := a.misbehave(); err != nil {
		return err
	}
	if err := a.authorize(); err != nil {
		return err
	}
	if a.preflight() {
		return nil
	}
	return a.route()
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
	_ = a.hangUp()
}
