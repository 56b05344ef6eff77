package admin

import (
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guarded lets a request through that has the token. Without a configured token it lets those through that arrive over
// loopback under a loopback name: a page can make its own domain point here, and the browser then takes the page and
// tether for one site.
func (s *Server) guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := s.deps.Settings().Token
		switch {
		case isCrossSite(r):
			writeError(w, 403, "a page of another site sent this request")
		case token == "" && !s.local:
			writeError(w, 403, "this is closed: set admin.token_file, or listen on loopback")
		case token == "" && !isLoopback(r.Host):
			writeError(w, 403, "without a token this answers under localhost and loopback addresses only: use one of them, or set admin.token_file")
		case token != "" && !hasToken(r, token):
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, 401, "want Authorization: Bearer TOKEN with the token of admin.token_file")
		default:
			h(w, r)
		}
	}
}

// isCrossSite reports whether a page of another site, or of another port of this host, sent the request. Such a page could not read an answer,
// but it could hold streams open.
func isCrossSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site != "same-origin" && site != "none"
	}
	origin := r.Header.Get("Origin") // an old browser sends it alone, and only for some requests
	if origin == "" {
		return false
	}
	from, err := url.Parse(origin)
	return err != nil || from.Host != r.Host
}

func hasToken(r *http.Request, token string) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given = strings.TrimLeft(given, " ")
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}

// isLoopback reports whether a Host header, with or without a port, names this host alone.
func isLoopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}

// protect rejects commands that a page of another site sends through an operator's browser, and answers requests
// without a route in JSON.
func protect(mux *http.ServeMux) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, 403, "a page of another site sent this request")
	}))
	return p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = routeless{w}
		}
		mux.ServeHTTP(w, r)
	}))
}

// routeless replaces the plain text that the mux answers to a request without a route by JSON.
type routeless struct{ http.ResponseWriter }

// WriteHeader writes the whole answer.
func (w routeless) WriteHeader(status int) {
	if status == 405 {
		writeError(w.ResponseWriter, 405, "want "+w.Header().Get("Allow"))
		return
	}
	w.Header().Del("Location") // from an unclean path to one that is not there either
	writeError(w.ResponseWriter, 404, "there is nothing here")
}

// Write drops the text of the mux.
func (routeless) Write(text []byte) (int, error) { return len(text), nil }
