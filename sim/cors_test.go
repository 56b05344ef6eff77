package sim

import "testing"

func TestAllowedOrigins(t *testing.T) {
	for allowed, want := range map[string]string{"*": "*", "http://a.b": "http://a.b", "http://c.d": ""} {
		s := start(t, Config{AllowedOrigins: []string{allowed}})
		r := ask(t, client(t), s.URL(), "OPTIONS", chatPath, "", "Origin: http://a.b", "Access-Control-Request-Method: POST")
		ok := r.status == 200 && r.body == "OK"
		if r.header.Get("Access-Control-Allow-Origin") != want || ok != (want != "") {
			t.Errorf("%s: preflight %d %v %s", allowed, r.status, r.header, r.body)
		}
		r = postTo(t, s, chatPath, chatSSE, "Origin: http://a.b")
		if r.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("%s: %v", allowed, r.header)
		}
	}
}
