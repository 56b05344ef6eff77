package app

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"tether/sim"
)

// gateway serves the servers under /gpu-0, /gpu-1 and so on, as a path-routing ingress does. paths returns the paths that it was
// asked for.
func gateway(t *testing.T, servers []string) (at string, paths func() []string) {
	var mu sync.Mutex
	var asked []string
	mux := http.NewServeMux()
	for i, s := range servers {
		target, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		prefix := fmt.Sprint("/gpu-", i)
		mux.Handle(prefix+"/", http.StripPrefix(prefix, &httputil.ReverseProxy{
			Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
			ErrorLog: log.New(io.Discard, "", 0),
		}))
	}
	g := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
}

// Two servers behind one address, whose URLs differ in the prefix only, are two upstreams: each is probed, lists its models, keeps
// its sessions and drains by itself.
func TestServersUnderPrefixes(t *testing.T) {
	sims, urls := startSims(t, 2, sim.Config{Record: 1000})
	at, paths := gateway(t, urls)
	s := startTether(t, nil, at+"/gpu-0", at+"/gpu-1/")
	s.await(0, "up")
	s.await(1, "up")
	host := strings.TrimPrefix(at, "http://")
	for i, u := range s.upstreams() {
		if want := fmt.Sprintf("%s/gpu-%d", host, i); u.Name != want || len(u.Models) != 1 {
			t.Errorf("upstream %d is %s with the models %v, want %s with one", i, u.Name, u.Models, want)
		}
	}
	served := map[string]bool{}
	for n := range 20 {
		opening := fmt.Sprintf(`{"model":"tiny","messages":[{"role":"user","content":"hello %d"}]}`, n)
		var first string
		for turn := range 3 {
			res, body, err := post(t, s.addr, opening)
			if err != nil || res.StatusCode != 200 {
				t.Fatal(res, body, err)
			}
			server := res.Header.Get("X-Sim-Server")
			if turn == 0 {
				first = server
				served[server] = true
			} else if server != first || res.Header.Get("X-Tether-Affinity") != "pinned" {
				t.Errorf("turn %d: %s at %s, want %s", turn, res.Header.Get("X-Tether-Affinity"), server, first)
			}
		}
	}
	if len(served) != 2 {
		t.Errorf("only %v served", served)
	}
	for _, path := range paths() {
		if !strings.HasPrefix(path, "/gpu-0/") && !strings.HasPrefix(path, "/gpu-1/") {
			t.Errorf("the gateway was asked for %s", path)
		}
	}
	name := url.PathEscape(host + "/gpu-1")
	s.operator(200, "POST", "/api/upstreams/"+name+"/drain", "")
	if u := s.upstreams(); u[0].State != "up" || u[1].State != "up, draining" {
		t.Errorf("after the drain: %s and %s", u[0].State, u[1].State)
	}
	sims[1].Kill()
	s.await(1, "down, draining")
	s.await(0, "up")
}
