package sim

import "testing"

func TestAPIKey(t *testing.T) {
	s := start(t, Config{APIKey: "sekrit"})
	for _, c := range []struct {
		method, path, auth string
		status             int
	}{
		{"GET", "/v1/models", "", 401},
		{"GET", "/v1/models", "Bearer wrong", 401},
		{"GET", "/v1/models", "bearer sekrit", 200},
		{"GET", "/v1/nope", "", 401},
		{"POST", "/inference/v1/generate", "", 401},
		{"OPTIONS", "/v1/models", "", 405},
		{"GET", "/health", "", 200},
		{"POST", "/tokenize", "", 400},
	} {
		r := ask(t, client(t), s.URL(), c.method, c.path, "", "Authorization: "+c.auth)
		if r.status != c.status || (r.status == 401 && (r.body != `{"error":"Unauthorized"}` || r.header.Get("Vary") != "")) {
			t.Errorf("%s %s %q: %d %s", c.method, c.path, c.auth, r.status, r.body)
		}
	}
}
