package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// protect keeps pages of other sites from commanding through the browser of somebody who may, and answers in JSON
// what no route takes.
func protect(mux *http.ServeMux) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 403, "this came from a page of another site")
	}))
	return p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = routeless{w}
		}
		mux.ServeHTTP(w, r)
	}))
}

// routeless puts into JSON what the mux says, in plain text, of a request that it has no route for.
type routeless struct{ http.ResponseWriter }

func (w routeless) WriteHeader(status int) {
	if status == 405 {
		fail(w.ResponseWriter, 405, "want "+w.Header().Get("Allow"))
		return
	}
	w.Header().Del("Location") // from an unclean path to one that is not there either
	fail(w.ResponseWriter, 404, "there is nothing here")
}

func (routeless) Write(text []byte) (int, error) { return len(text), nil }

// loopback reports whether a Host header, with or without a port, names this host alone.
func loopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	addr, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}
