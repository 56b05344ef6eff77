package health

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tether/sim"
	"tether/upstream"
	"tether/upstream/transport"
)

// A server that closes after /health still lists its models.
func TestModelsAfterHealthClosesTheConnection(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"a"}]}`) })
	s := httptest.NewServer(mux)
	defer s.Close()
	w := watch(t, quick(), s.URL)
	w.ready()
	if u := w.up(0); !u.Models().Has([]byte("a")) {
		t.Errorf("%s, models %v", u.State().Words(), u.Models())
	}
}

// A list that the server refuses stays unknown, and its 401 is remembered: the server wants a client's key.
func TestModelsAreRefused(t *testing.T) {
	s := startSim(t, sim.Config{APIKey: "secret"})
	w := watch(t, quick(), s.URL())
	w.ready()
	u := w.up(0)
	if u.State().Health() != upstream.Up || u.Models() != nil || !u.NeedsKey() {
		t.Errorf("%s, models %v, asks for a key: %v", u.State().Words(), u.Models(), u.NeedsKey())
	}
}

// Probes show a server the configured key, and so learn its list; a key that the server refuses makes one warning.
func TestModelsWithAKey(t *testing.T) {
	s := startSim(t, sim.Config{APIKey: "secret", Record: 100})
	address, err := transport.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, quick())
	shown := func(key transport.APIKey) upstream.Spec {
		return upstream.Spec{Name: "a", Address: address, RequestOptions: transport.RequestOptions{Key: key}}
	}
	w.applySpecs(shown("wrong"))
	u := w.up(0)
	w.await(u, upstream.Up)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	await := func(what string, is func() bool) {
		t.Helper()
		if s.Await(ctx, func(sim.Load) bool { return is() }) != nil {
			t.Fatal(what)
		}
	}
	await("probed too seldom", func() bool { return len(s.Requests()) >= 7 }) // three probes: the first one asks for sleepPath too
	text := <-w.warnings
	if !strings.Contains(text, "api_key_file") || strings.Contains(text, "wrong") || !u.NeedsKey() || u.Models() != nil {
		t.Errorf("warned %q, asks for a key: %v, models %v", text, u.NeedsKey(), u.Models())
	}
	w.applySpecs(shown("secret"))
	await("the list is not learned", func() bool { return u.Models() != nil })
	if u.NeedsKey() || !u.Models().Has([]byte("tiny")) {
		t.Errorf("asks for a key: %v, models %v", u.NeedsKey(), u.Models().All())
	}
	if len(w.warnings) > 0 {
		t.Errorf("warned again: %q", <-w.warnings)
	}
	keys := map[string]map[string]bool{}
	for _, seen := range s.Requests() {
		if keys[seen.Path] == nil {
			keys[seen.Path] = map[string]bool{}
		}
		keys[seen.Path][seen.Header.Get("Authorization")] = true
	}
	for _, path := range []string{"/health", "/v1/models"} {
		if got := keys[path]; !got["Bearer wrong"] || !got["Bearer secret"] || len(got) != 2 {
			t.Errorf("%s was asked for with %v", path, got)
		}
	}
}

// A change of a server's list is noticed.
func TestModelsChange(t *testing.T) {
	lists := make(chan string)
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, r *http.Request) {
		select {
		case id := <-lists:
			fmt.Fprintf(w, `{"data":[{"id":%q}]}`, id)
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	w := watch(t, quick(), s.URL)
	lists <- "a"
	w.ready()
	u := w.up(0)
	if !u.Models().Has([]byte("a")) {
		t.Fatalf("models %v", u.Models().All())
	}
	lists <- "b"
	lists <- "c" // for the probe after the one that read b
	if !u.Models().Has([]byte("b")) && !u.Models().Has([]byte("c")) {
		t.Errorf("models %v", u.Models().All())
	}
}
