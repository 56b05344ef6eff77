package metrics

import (
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"tether/proxy"
	"tether/upstream"
	"tether/upstream/models"
	"tether/upstream/transport"
)

// fleet returns a registry with an upstream for each name. Every upstream lists the models "tiny" and hostile.
func fleet(t testing.TB, names ...string) *upstream.Registry {
	t.Helper()
	r := upstream.NewRegistry(nil)
	var specs []upstream.Spec
	for i, name := range names {
		s := spec(name, i+1)
		s.Slot = i
		specs = append(specs, s)
	}
	apply(t, r, specs...)
	for _, m := range r.Table().Members {
		m.SetModels(models.New([]models.Model{{ID: "tiny"}, {ID: hostile}}))
	}
	return r
}

func spec(name string, port int) upstream.Spec {
	return upstream.Spec{Name: name, Address: transport.Address{Network: "tcp", Dial: fmt.Sprint("127.0.0.1:", port)}, Weight: 100}
}

func apply(t testing.TB, r *upstream.Registry, specs ...upstream.Spec) {
	t.Helper()
	if _, err := r.Apply(specs); err != nil {
		t.Fatal(err)
	}
}

const hostile = "evil\"}\n# HELP x y\x1b"

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	return w.Body.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

// Prometheus' own checker finds nothing to criticize.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus has it)")
	}
	r := fleet(t, "vllm-0")
	m := New("v1", r)
	m.Done(&proxy.Record{Model: []byte("tiny"), Tries: []proxy.Try{{Upstream: r.Table().Members[0].Upstream}}, FirstByte: 1, Reason: "x", CachedTokens: 1})
	m.Probed(r.Table().Servers[0], "succeeded")
	m.Refused(400, "malformed")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, m))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
