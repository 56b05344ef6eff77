// Package admin is the second listener, for operators and their tools, never for clients. It says whether the process
// is alive and ready, shows metrics, upstreams and sessions, explains where requests go, and lets operators drain
// upstreams and move sessions.
//
// A token guards what could do harm. Without a token that part is open on loopback only, to requests under a loopback
// name.
//
// Goroutines: Server.Serve, started and awaited by the caller.
package admin

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"tether/admin/page"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/session/shared"
	"tether/session/store"
	"tether/status"
	"tether/upstream"
)

// Deps are the parts that the listener shows and controls.
type Deps struct {
	Registry *upstream.Registry
	Pins     *pins.Map
	// Settings returns the settings in force. It is called for each request that needs them.
	Settings func() Settings
	// Reload loads the configuration again, and returns when it is in force. An error says everything that is wrong with it, and that
	// the previous one is in force. Nil: there is nothing to load again.
	Reload func(context.Context) (Reloaded, error)
	// Estimates have the state of the caches of each model; nil shows none.
	Estimates *prefill.Estimates
	Guide     Guide
	// Sources returns the sources that upstreams come from.
	Sources func() []Discovered
	// Replicas returns what is known of the store that tethers share their sessions by; nil without one. Drained is called with each
	// command that an upstream has carried out; nil for none.
	Replicas func(time.Time) store.Report
	Drained  func(*shared.Drain)
	// Ready reports whether tether is ready for requests.
	Ready   func() bool
	Metrics http.Handler
	// Status has what pages show.
	Status *status.Collector
	// ErrorLog is where net/http reports what goes wrong on the listener and in handlers; nil is standard error.
	ErrorLog *log.Logger
}

// Settings are what may change while the listener serves.
type Settings struct {
	// Token opens the guarded part; "" is no token.
	Token string
	// MaxRequest limits the requests that are explained, in bytes.
	MaxRequest int64
	// DrainIdle is session.drain_idle.
	DrainIdle time.Duration
	// NeedRestart returns the keys that differ in another configuration and cannot change while tether runs, given what config.Config.Fixed
	// returns for that one.
	NeedRestart func(fixed map[string]string) []string
}

// Server is the admin listener's server.
type Server struct {
	deps    Deps
	guide   *Guide
	local   bool // listens on loopback
	http    http.Server
	leaving chan struct{} // closed by Leave
	leave   func()        // closes leaving, once
	serving atomic.Pointer[net.Listener]
	reading sync.Mutex // held while a whole request is explained, or other upstreams are compared
}

// Limits of a client of the admin listener.
const (
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// NewServer returns a server for a listener on addr.
func NewServer(addr net.Addr, d Deps) *Server {
	s := &Server{deps: d, guide: &d.Guide, leaving: make(chan struct{})}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		s.local = tcp.IP.IsLoopback()
	}
	s.http = http.Server{
		Handler: s.routes(), ErrorLog: d.ErrorLog,
		ReadHeaderTimeout: headerTime, ReadTimeout: idleTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
	}
	s.leave = sync.OnceFunc(func() { close(s.leaving) })
	return s
}

// Open reports whether the guarded part needs no token.
func (s *Server) Open() bool { return s.deps.Settings().Token == "" && s.local }

// Serve serves l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	s.serving.Store(&l)
	err := s.http.Serve(jsonListener{l})
	select {
	case <-s.leaving:
		<-ctx.Done()
		return nil
	default:
	}
	if err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Leave closes the listener of Serve, which another process may serve, and lets each connection end with its next answer. Shutdown of net/http would
// drop the requests that it is just reading.
func (s *Server) Leave() {
	s.leave() // a page would keep its request open
	s.http.SetKeepAlivesEnabled(false)
	if l := s.serving.Load(); l != nil {
		_ = (*l).Close() // it may be closed already
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, map[string]string{"status": "alive"}) })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.deps.Metrics)
	files := page.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeError(w, 404, "there is nothing here") }))
	mux.Handle("GET /{$}", files)
	mux.Handle("GET /page/{file}", files)
	mux.HandleFunc("GET /api/status", s.guarded(showStatus(s.deps.Status)))
	mux.HandleFunc("GET /api/live", s.guarded(live(s.deps.Status, s.leaving)))
	mux.HandleFunc("GET /api/upstreams", s.guarded(s.upstreams))
	mux.HandleFunc("POST /api/upstreams/{name}/drain", s.guarded(s.drain))
	mux.HandleFunc("POST /api/upstreams/{name}/undrain", s.guarded(s.undrain))
	mux.HandleFunc("POST /api/reload", s.guarded(s.deps.reload))
	mux.HandleFunc("GET /api/discovery", s.guarded(showSources(s.deps.Sources)))
	mux.HandleFunc("GET /api/replicas", s.guarded(showReplicas(s.deps.Replicas)))
	mux.HandleFunc("POST /api/preview", s.guarded(s.preview))
	mux.HandleFunc("GET /api/sessions/{id}", s.guarded(s.session))
	mux.HandleFunc("DELETE /api/sessions/{id}", s.guarded(s.forget))
	mux.HandleFunc("POST /api/sessions/{id}/move", s.guarded(s.move))
	mux.HandleFunc("POST /api/where", s.guarded(s.where))
	mux.HandleFunc("POST /api/where/request", s.guarded(s.whereRequest))
	mux.HandleFunc("GET /debug/pprof/", s.guarded(jsonErrors(pprof.Index)))
	mux.HandleFunc("GET /debug/pprof/profile", s.guarded(jsonErrors(pprof.Profile)))
	mux.HandleFunc("GET /debug/pprof/symbol", s.guarded(jsonErrors(pprof.Symbol)))
	mux.HandleFunc("GET /debug/pprof/trace", s.guarded(jsonErrors(pprof.Trace)))
	return protect(mux)
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.deps.Ready() {
		writeJSON(w, 503, map[string]string{"status": "not ready"})
		return
	}
	writeJSON(w, 200, map[string]string{"status": "ready"})
}
