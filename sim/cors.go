package sim

import (
	"net/http"
	"slices"
)

// cors adds what Starlette's CORS middleware adds to an answer that passes it; those made outside of it have no vary.
func (a *answer) cors() {
	if a.vary == "" {
		return
	}
	h := a.w.Header()
	h.Set("Vary", a.vary)
	if origin := a.r.Header.Get("Origin"); origin != "" {
		if allowed := a.allowedOrigin(origin); allowed != "" {
			h.Set("Access-Control-Allow-Origin", allowed)
		}
	}
}

// allowedOrigin is what the answer allows to this origin; empty is nothing.
func (a *answer) allowedOrigin(origin string) string {
	switch allowed := a.srv.cfg.AllowedOrigins; {
	case slices.Contains(allowed, "*"):
		return "*"
	case slices.Contains(allowed, origin):
		return origin
	}
	return ""
}

// preflight answers a CORS preflight, and says whether the request was one.
func (a *answer) preflight() bool {
	origin, asked := a.r.Header.Get("Origin"), a.r.Header.Get("Access-Control-Request-Method")
	if a.r.Method != http.MethodOptions || origin == "" || asked == "" {
		return false
	}
	h := a.w.Header()
	h.Set("Access-Control-Allow-Methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY")
	h.Set("Access-Control-Max-Age", "600")
	if headers := a.r.Header.Get("Access-Control-Request-Headers"); headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	status, text := http.StatusOK, "OK"
	if a.allowedOrigin(origin) == "" {
		status, text = http.StatusBadRequest, "Disallowed CORS origin"
	}
	a.vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"
	a.send(status, "text/plain; charset=utf-8", []byte(text))
	return true
}
