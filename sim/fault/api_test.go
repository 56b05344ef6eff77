package fault

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPI(t *testing.T) {
	s := NewSet()
	for _, step := range []struct {
		method, body string
		status       int
		want         string
	}{
		{"POST", `{"kind":"status","arg":"429","times":2}`, 204, ""},
		{"POST", `{"kind":"hang","path":"/health"}`, 204, ""},
		{"GET", "", 200, `[{"kind":"status","arg":"429","times":2},{"kind":"hang","path":"/health"}]` + "\n"},
		{"POST", `{"kind":"nope"}`, 400, "sim: unknown fault \"nope\"\n"},
		{"POST", `{"kind":"hang","time":1}`, 400, "sim: fault is not JSON: json: unknown field \"time\"\n"},
		{"PUT", "{}", 405, "method not allowed\n"},
		{"DELETE", "", 204, ""},
		{"GET", "", 200, "[]\n"},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(step.method, "/sim/fault", strings.NewReader(step.body)))
		if d := cmp.Diff(step.want, w.Body.String()); w.Code != step.status || d != "" {
			t.Errorf("%s %s: %d\n%s", step.method, step.body, w.Code, d)
		}
	}
}
