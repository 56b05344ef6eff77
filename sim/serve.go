package sim

import "net/http"

// handle is the way of a request: faults, body, guard, route.
func (l *life) handle(w http.ResponseWriter, r *http.Request) {
	a := newAnswer(l, w, r)
	if !l.enter() {
		a.hangUp()
		return
	}
	defer l.exit()
	l.answer(connOf(r), true)
	if r.URL.Path == "/sim/fault" {
		l.srv.faults.ServeHTTP(w, r)
		return
	}
	defer a.report()
	defer a.guard()()
	faults, err := l.srv.faults.Take(r.URL.Path, r.Header.Get("X-Sim-Fault"))
	a.faults = faults
	if a.early() {
		return
	}
	if readErr := a.receive(); readErr != nil {
		a.abandon(readErr)
		return
	}
	if err != nil {
		a.fail(problem{status: http.StatusBadRequest, kind: "BadRequestError", message: "sim: " + err.Error(), param: "X-Sim-Fault"})
		return
	}
	if !a.misbehave() && a.authorized() && !a.preflight() {
		a.route()
	}
}
