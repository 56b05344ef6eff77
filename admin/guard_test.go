package admin

import (
	"slices"
	"strings"
	"testing"
)

// allowed returns the methods of the routes with the path, as Allow lists them.
func allowed(path string) string {
	var methods []string
	for _, c := range routes {
		if c.path != path {
			continue
		}
		if methods = append(methods, c.method); c.method == "GET" {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

func TestErrorsAreJSON(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for _, c := range routes {
		for _, wrong := range []string{"GET", "POST", "PUT"} {
			allow := allowed(c.path)
			if strings.Contains(allow, wrong) {
				continue
			}
			r := o.ask(wrong, c.path)
			if o.wantError(r, 405); r.Header.Get("Allow") != allow {
				t.Errorf("%s: Allow: %q, want %q", c.path, r.Header.Get("Allow"), allow)
			}
		}
	}
	for _, path := range []string{"/page", "/page/", "/page/nothing.js", "/nothing", "/api/", "/api/upstreams/", "/api/upstreams/vllm-0", "/api/upstreams/nobody/drain/", "/api/sessions/", "/debug/", "//nothing"} {
		o.wantError(o.ask("GET", path), 404)
	}
	o.wantError(o.ask("POST", "/api/upstreams/nobody/drain"), 404)
	o.wantError(o.ask("POST", "/api/upstreams/nobody/undrain"), 404)
	o.wantState("unknown")
}

// With a token the guarded part wants it on every address; health and metrics never do.
func TestToken(t *testing.T) {
	for _, listen := range []string{loopbackOnly, everywhere} {
		o := operate(t, listen, "secret", "vllm-0")
		if o.server.Open() {
			t.Errorf("%s: open with a token", listen)
		}
		for _, c := range routes {
			for authorization, right := range map[string]bool{
				"": false, "Bearer wrong": false, "Bearer": false, "Bearer ": false, "secret": false, "Basic secret": false, "Bearer secre": false,
				"Bearer secretx": false, "Bearer Secret": false, "Bearersecret": false, "Bearer x secret": false,
				"Bearer secret": true, "bearer secret": true, "BEARER  secret": true,
			} {
				if right && strings.Contains(c.path, "profile") {
					continue // takes a second
				}
				r := o.ask(c.method, c.path, "Authorization: "+authorization)
				switch {
				case right || !c.guarded:
					if r.StatusCode != c.status {
						t.Errorf("%s %s with %q: %d", c.method, c.path, authorization, r.StatusCode)
					}
				case r.Header.Get("WWW-Authenticate") != "Bearer":
					t.Errorf("%s %s: no challenge", c.method, c.path)
					fallthrough
				default:
					o.wantError(r, 401)
				}
			}
		}
		// A page under any name lacks the token, so every name may be used.
		if r := o.ask("GET", "/api/upstreams", "Authorization: Bearer secret", "Host: tether.example"); r.StatusCode != 200 {
			t.Errorf("by another name: %d", r.StatusCode)
		}
	}
}

// On an address other than loopback and without a token, the guarded part is closed to every caller.
func TestBeyondLoopbackWithoutToken(t *testing.T) {
	o := operate(t, everywhere, "", "vllm-0")
	if o.server.Open() {
		t.Error("open")
	}
	for _, c := range routes {
		if r := o.ask(c.method, c.path, "Authorization: Bearer "); c.guarded {
			o.wantError(r, 403)
		} else if r.StatusCode != c.status {
			t.Errorf("%s: %d", c.path, r.StatusCode)
		}
	}
	o.wantState("unknown")
}

// A page of another site in a browser on this host may not send commands; tools and our own pages may.
func TestCrossSite(t *testing.T) {
	for _, token := range []string{"", "secret"} {
		o := operate(t, loopbackOnly, token, "vllm-0")
		own, right := "Origin: http://"+o.addr, "Authorization: Bearer secret"
		for _, foreign := range [][]string{
			{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
			{"Sec-Fetch-Site: cross-site"},
			{"Sec-Fetch-Site: same-site"},
			{"Origin: https://evil.example"},
			{"Origin: null"},
			{"Origin: http://127.0.0.1:1"},
		} {
			for _, c := range routes {
				if c.method != "GET" {
					o.wantError(o.ask(c.method, c.path, append(foreign, right)...), 403)
				}
			}
			o.wantError(o.ask("POST", "/nothing", append(foreign, right)...), 403)
		}
		o.wantState("unknown")
		for _, ours := range [][]string{{}, {own}, {own, "Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}} {
			if r := o.ask("POST", "/api/upstreams/vllm-0/drain", append(ours, right)...); r.StatusCode != 200 {
				t.Errorf("%v: %d", ours, r.StatusCode)
			}
		}
		o.wantState("unknown, draining")
	}
}

// Without a token only loopback names open the guarded part: a page can make its own domain point here, and the browser
// then takes the page and tether for one site.
func TestReboundHost(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0")
	for host, open := range map[string]bool{
		"localhost": true, "localhost:8081": true, "LocalHost:1": true, "127.0.0.1": true, "127.1.2.3:9999": true, "[::1]": true, "[::1]:8081": true,
		"rebound.evil.example": false, "rebound.evil.example:8081": false, "localhost.evil.example": false, "evil.localhost": false, "127.0.0.1.evil.example": false,
		"10.0.0.1:8081": false, "0.0.0.0:8081": false, "[::]:8081": false, "[fd00::1]": false, "localhost:evil": false,
	} {
		for _, c := range routes {
			if open && strings.Contains(c.path, "profile") {
				continue // takes a second
			}
			if r := o.ask(c.method, c.path, "Host: "+host, "Origin: http://"+host); c.guarded && !open {
				o.wantError(r, 403)
			} else if r.StatusCode != c.status {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, host, r.StatusCode, r.body)
			}
		}
	}
}
