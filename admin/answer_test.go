package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tether/upstream"
	"tether/upstream/models"
)

func TestAPIErrors(t *testing.T) {
	r := newRig(t)
	r.pin("s", "a", r.up["vllm-0"])
	r.up["vllm-2"].SetHealth(upstream.Down, "test")
	long := strings.Repeat("x", 10_000)
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/api/upstreams/%3Cscript%3E/drain", "", 404},
		{"POST", "/api/upstreams/" + long + "/drain", "", 404},
		{"GET", "/api/sessions/unknown", "", 404},
		{"GET", "/api/sessions/s?model=b", "", 404},
		{"GET", "/api/sessions/s?model=", "", 404},
		{"GET", "/api/sessions/s?model=" + long, "", 400},
		{"GET", "/api/sessions/" + long, "", 400},
		{"GET", "/api/sessions/a%00b", "", 400},
		{"GET", "/api/sessions/a%20b", "", 400},
		{"GET", "/api/sessions/%C3%A4", "", 400},
		{"DELETE", "/api/sessions/unknown", "", 404},
		{"DELETE", "/api/sessions/a%0Ab", "", 400},
		{"POST", "/api/sessions/s/move", "", 404},
		{"POST", "/api/sessions/s/move?to=nobody", "", 404},
		{"POST", "/api/sessions/s/move?to=" + long, "", 404},
		{"POST", "/api/sessions/unknown/move?to=vllm-1", "", 404},
		{"POST", "/api/sessions/s/move?to=vllm-2", "", 409},
		{"POST", "/api/sessions/" + long + "/move?to=vllm-1", "", 400},
		{"POST", "/api/where", "", 400},
		{"POST", "/api/where", "{", 400},
		{"POST", "/api/where", `{"id":"s","secret":1}`, 400},
		{"POST", "/api/where", `{"id":1}`, 400},
		{"POST", "/api/where", `{"id":""}`, 400},
		{"POST", "/api/where", `{"id":"a\nb"}`, 400},
		{"POST", "/api/where", `{"id":"` + long + `"}`, 400},
		{"POST", "/api/where", `{"id":"s","model":"` + long + `"}`, 400},
		{"POST", "/api/where", `{"id":"` + strings.Repeat(long, 10) + `"}`, 413},
		{"POST", "/api/where/request", long, 413},
	} {
		status, text := r.do(c.method, c.target, c.body)
		if status != c.want || len(text) > 300 || strings.Contains(text, "script") || strings.Contains(text, "xxx") {
			t.Errorf("%s %.60s %.30s: %d %.200s, want %d", c.method, c.target, c.body, status, text, c.want)
		}
	}
	if hits := r.router.Lookup(r.ids, []byte("s"), []string{"a"}, time.Now()); len(hits) != 1 || hits[0].Upstream.Name() != "vllm-0" {
		t.Errorf("%+v", hits)
	}
}

// Names of models are clipped and escaped in answers.
func TestHostileModels(t *testing.T) {
	r := newRig(t)
	huge := strings.Repeat("<b>\x01\xff", 2000)
	list := []models.Model{{ID: huge}}
	for i := range 5000 {
		list = append(list, models.Model{ID: fmt.Sprint("m", i)})
	}
	r.up["vllm-0"].SetModels(models.New(list))
	r.pin("s", huge, r.up["vllm-0"])
	for target, most := range map[string]int{"/api/upstreams": 20_000, "/api/sessions/s": 3000} {
		_, text := r.do("GET", target, "")
		if len(text) > most || strings.ContainsAny(text, "<\x01") || !utf8.ValidString(text) {
			t.Errorf("%s: %d bytes: %.300s", target, len(text), text)
		}
	}
	r.sessions("DELETE", "/api/sessions/s")
	if w := r.where(`{"id":"s"}`); len(w.Places) != maxPlaces || !strings.Contains(w.Note, "more models are known") {
		t.Errorf("%d places, %s", len(w.Places), w.Note)
	}
}
