// Package admin is the second listener: for operators and their tools, never for clients. It says whether the
// process lives and is ready, shows metrics, upstreams and sessions, explains where requests go, and lets operators
// drain upstreams and move sessions.
//
// What could do harm is guarded by a token; without one it is open on loopback only, to those who call it by a
// loopback name.
package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"tether/session/pins"
	"tether/upstream"
)

// Deps are what the listener shows and drives.
type Deps struct {
	Registry *upstream.Registry
	Pins     *pins.Map
	Guide    Guide
	// MaxRequest bounds the requests that are explained, in bytes.
	MaxRequest int64
	// Ready reports whether the process wants requests.
	Ready   func() bool
	Metrics http.Handler
	// Token opens the guarded part, "" for none.
	Token string
}

// Server is the admin listener's server.
type Server struct {
	deps    Deps
	guide   *Guide
	local   bool // on loopback
	http    http.Server
	reading sync.Mutex // held while a request is read to be explained
}

// What a client of the admin listener may take.
const (
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// NewServer makes a server for a listener on addr.
func NewServer(addr net.Addr, d Deps) *Server {
	s := &Server{deps: d, guide: &d.Guide}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		s.local = tcp.IP.IsLoopback()
	}
	s.http = http.Server{Handler: s.routes(), ReadHeaderTimeout: headerTime, ReadTimeout: idleTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}
	return s
}

// Open reports whether the guarded part needs no token.
func (s *Server) Open() bool { return s.deps.Token == "" && s.local }

// Serve serves l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	if err := s.http.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]string{"status": "alive"}) })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.deps.Metrics)
	mux.HandleFunc("GET /api/upstreams", s.guarded(s.upstreams))
	mux.HandleFunc("POST /api/upstreams/{name}/drain", s.guarded(s.drain))
	mux.HandleFunc("POST /api/upstreams/{name}/undrain", s.guarded(s.undrain))
	mux.HandleFunc("GET /api/sessions/{id}", s.guarded(s.session))
	mux.HandleFunc("DELETE /api/sessions/{id}", s.guarded(s.forget))
	mux.HandleFunc("POST /api/sessions/{id}/move", s.guarded(s.move))
	mux.HandleFunc("POST /api/where", s.guarded(s.where))
	mux.HandleFunc("POST /api/where/request", s.guarded(s.whereRequest))
	mux.HandleFunc("GET /debug/pprof/", s.guarded(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/profile", s.guarded(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", s.guarded(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", s.guarded(pprof.Trace))
	return protect(mux)
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.deps.Ready() {
		answer(w, 503, map[string]string{"status": "not ready"})
		return
	}
	answer(w, 200, map[string]string{"status": "ready"})
}

// guarded lets only those through who have the token, or who come over loopback where there is none. These must call
// us by a loopback name: by DNS any page can make its own name point here, and is then no other site to a browser.
func (s *Server) guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		token = strings.TrimLeft(token, " ")
		bears := strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(token), []byte(s.deps.Token)) == 1
		switch {
		case s.deps.Token == "" && !s.local:
			fail(w, 403, "this is closed: set admin.token_file, or listen on loopback")
		case s.deps.Token == "" && !loopback(r.Host):
			fail(w, 403, "without a token this is open by localhost and loopback addresses alone: call it so, or set admin.token_file")
		case s.deps.Token != "" && !bears:
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, 401, "want Authorization: Bearer TOKEN with the token of admin.token_file")
		default:
			h(w, r)
		}
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have left
}

func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"message": message, "code": status}})
}
