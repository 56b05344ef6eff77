package sim

import (
	"net/http"
	"slices"
)

// cors adds the header fields of Starlette's CORS middleware to an answer that passes it.
func (w *writer) cors() {
	if w.vary == "" {
		return
	}
	h := w.w.Header()
	h.Set("Vary", w.vary)
	if allowed := w.allowedOrigin(); allowed != "" {
		h.Set("Access-Control-Allow-Origin", allowed)
	}
}

// allowedOrigin is the origin that the answer allows: "*", that of the request, or "" for none.
func (w *writer) allowedOrigin() string {
	origin := w.r.Header.Get("Origin")
	switch allowed := w.life.srv.cfg.AllowedOrigins; {
	case origin == "":
		return ""
	case slices.Contains(allowed, "*"):
		return "*"
	case slices.Contains(allowed, origin):
		return origin
	}
	return ""
}

// preflight answers a CORS preflight, and reports whether the request was one.
func (w *writer) preflight() bool {
	h := w.r.Header
	if w.r.Method != http.MethodOptions || h.Get("Origin") == "" || h.Get("Access-Control-Request-Method") == "" {
		return false
	}
	answer := w.w.Header()
	answer.Set("Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY")
	answer.Set("Access-Control-Max-Age", "600")
	if headers := h.Get("Access-Control-Request-Headers"); headers != "" {
		answer.Set("Access-Control-Allow-Headers", headers)
	}
	status, text := http.StatusOK, "OK"
	if w.allowedOrigin() == "" {
		status, text = http.StatusBadRequest, "Disallowed CORS origin"
	}
	w.vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
	w.send(status, "text/plain; charset=utf-8", []byte(text))
	return true
}
