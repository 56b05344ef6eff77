package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/units"
	"tether/upstream"
)

// page is a page in a browser, as far as the Fetch standard (section numbers below) decides what the page may see.
type page struct {
	r       *rig
	origin  string
	cookies bool // credentials: include
}

// seen is what a script of the page sees of a request: an error of the network, or an answer with the fields that it may read.
type seen struct {
	err    string
	status int
	body   string
	fields http.Header
}

// fetch is a fetch of a script with these fields, "Name: value".
func (p page) fetch(method, path, body string, fields ...string) seen {
	p.r.t.Helper()
	if unsafe := unsafeFields(fields); len(unsafe) > 0 || !slices.Contains([]string{"GET", "HEAD", "POST"}, method) {
		if err := p.preflight(method, path, unsafe); err != "" {
			return seen{err: err}
		}
	}
	a := p.r.do(method, path, body, append(fields, "Origin: "+p.origin)...)
	return p.see(a)
}

// see is what a script sees of an answer to its request.
func (p page) see(a *answer) seen {
	if err := p.check(a.Header); err != "" {
		return seen{err: err}
	}
	s := seen{status: a.StatusCode, body: a.body, fields: http.Header{}}
	shown := append(listOf(a.Header, "Access-Control-Expose-Headers"), // 4.1, main fetch, step 15
		"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma")
	for name, values := range a.Header {
		if slices.Contains(shown, strings.ToLower(name)) || slices.Contains(shown, "*") && !p.cookies {
			s.fields[name] = values
		}
	}
	return s
}

// preflight is the CORS-preflight fetch (4.9).
func (p page) preflight(method, path string, unsafe []string) (err string) {
	p.r.t.Helper()
	fields := []string{"Accept: */*", "Access-Control-Request-Method: " + method, "Origin: " + p.origin}
	if len(unsafe) > 0 {
		fields = append(fields, "Access-Control-Request-Headers: "+strings.Join(unsafe, ","))
	}
	a := p.r.do("OPTIONS", path, "", fields...)
	if err := p.check(a.Header); err != "" {
		return "preflight: " + err
	}
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return fmt.Sprint("preflight: status ", a.StatusCode)
	}
	methods := listOf(a.Header, "Access-Control-Allow-Methods")
	if !slices.Contains([]string{"GET", "HEAD", "POST"}, method) && !slices.Contains(methods, strings.ToLower(method)) && (p.cookies || !slices.Contains(methods, "*")) {
		return "preflight: method " + method
	}
	allowed := listOf(a.Header, "Access-Control-Allow-Headers")
	for _, name := range unsafe {
		if !slices.Contains(allowed, name) && (p.cookies || name == "authorization" || !slices.Contains(allowed, "*")) {
			return "preflight: field " + name
		}
	}
	return ""
}

// check is the CORS check (4.10). A field that is there twice is one value with a comma, and so is no origin.
func (p page) check(h http.Header) (err string) {
	switch origin := strings.Join(h.Values("Access-Control-Allow-Origin"), ", "); {
	case origin == "*" && !p.cookies:
		return ""
	case origin != p.origin:
		return fmt.Sprintf("the answer allows %q", origin)
	case p.cookies && strings.Join(h.Values("Access-Control-Allow-Credentials"), ", ") != "true":
		return "no credentials"
	}
	return ""
}

// unsafeFields are the CORS-unsafe request-header names of fields (2.2.2), as a preflight lists them.
func unsafeFields(fields []string) (names []string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		name = strings.ToLower(name)
		simple := slices.Contains([]string{"text/plain", "multipart/form-data", "application/x-www-form-urlencoded"}, value)
		if name != "accept" && name != "accept-language" && name != "content-language" && (name != "content-type" || !simple) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// listOf is the list in a field, in lower case.
func listOf(h http.Header, name string) (list []string) {
	for item := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		list = append(list, strings.ToLower(strings.TrimSpace(item)))
	}
	return list
}

const app, asJSON = "https://app.example", "Content-Type: application/json"

// withCORS is an option: pages of these origins are allowed.
func withCORS(origins ...string) option { return func(r *rig) { r.cfg.CORSOrigins = origins } }

// A page sees every answer of tether's own, whatever is wrong, if its origin is allowed, and otherwise none. No server sees a preflight.
func TestPagesSeeOwnAnswers(t *testing.T) {
	for _, origins := range [][]string{{"*"}, {"https://other.example:8443", app}} {
		r := fleet(t, 1, sim.Config{}, withCORS(origins...), keyed, func(r *rig) { r.cfg.MaxBody = 4 * units.KiB })
		r.up(0).SetModels(list(`{"id":"tiny"}`))
		const key = asAlice
		ours, stranger := page{r: r, origin: app}, page{r: r, origin: "https://evil.example"}
		for name, c := range map[string]struct {
			method, path, body string
			fields             []string
			status             int
		}{
			"models":        {"GET", "/v1/models", "", []string{key}, 200},
			"model":         {"GET", "/v1/models/tiny", "", []string{key}, 200},
			"escaped model": {"GET", "/v1/models/org%2Ftiny", "", []string{key}, 404},
			"no key":        {"GET", "/v1/models", "", nil, 401},
			"wrong key":     {"POST", chatPath, chat("x"), []string{asJSON, "Authorization: Bearer sk-2"}, 401},
			"unknown path":  {"POST", "/nothing", "{}", []string{asJSON, key}, 404},
			"method":        {"DELETE", chatPath, "", []string{key}, 405},
			"large body":    {"POST", chatPath, strings.Repeat("x", 5<<10), []string{asJSON, key}, 413},
		} {
			s := ours.fetch(c.method, c.path, c.body, c.fields...)
			if s.err != "" || s.status != c.status || s.body == "" {
				t.Errorf("%v, %s: %+v, want %d", origins, name, s, c.status)
			}
			if s := stranger.fetch(c.method, c.path, c.body, c.fields...); (s.err == "") != (origins[0] == "*") {
				t.Errorf("%v, %s: a page of another origin sees %+v", origins, name, s)
			}
		}
		if count(r.sims) != 0 {
			t.Errorf("%v: the server got %d requests", origins, count(r.sims))
		}
		r.up(0).SetHealth(upstream.Down, "test")
		s := ours.fetch("POST", chatPath, chat("x"), asJSON, key, "X-Session-Id: s-1")
		if s.err != "" || s.status != 503 || s.fields.Get("X-Session-Id") != "s-1" || s.fields.Get("X-Tether-Affinity") != "none" || s.fields.Get("X-Request-Id") != "" {
			t.Errorf("%v, no server: %+v", origins, s)
		}
		if s := (page{r: r, origin: app, cookies: true}).fetch("GET", "/v1/models", "", key); (s.err == "") != (origins[0] != "*") {
			t.Errorf("%v: with cookies a page sees %+v", origins, s)
		}
	}
}

// A page sees the answers of servers as well: as the server says, with each field once, or as tether says where the server says
// nothing. The preflight is tether's, so that a server without CORS does.
func TestPagesSeeAnswersOfServers(t *testing.T) {
	for name, c := range map[string]struct {
		servers, tether []string
		sees            bool
	}{
		"all by both":                        {[]string{"*"}, []string{"*"}, true},
		"all by the servers, some by tether": {[]string{"*"}, []string{app}, true},
		"some by both":                       {[]string{app}, []string{app}, true},
		"by tether alone":                    {nil, []string{app}, true},
		"others by tether":                   {nil, []string{"https://other.example"}, false},
		"by the servers alone":               {[]string{app}, nil, true},
		"by neither":                         {nil, nil, false},
	} {
		r := fleet(t, 1, sim.Config{AllowedOrigins: c.servers}, withCORS(c.tether...))
		p := page{r: r, origin: app}
		for _, body := range []string{chat("x"), streamed("x"), `{"model":`} {
			s := p.fetch("POST", chatPath, body, asJSON, "X-Session-Id: s-1")
			if (s.err == "") != c.sees {
				t.Errorf("%s: %+v", name, s)
			}
			if c.sees && (s.fields.Get("X-Session-Id") != "s-1" || s.fields.Get("X-Tether-Affinity") == "") {
				t.Errorf("%s: the page sees the fields %v", name, s.fields)
			}
		}
		a := r.do("POST", chatPath, chat("x"), asJSON, "Origin: "+app)
		for _, field := range []string{"Access-Control-Allow-Origin", "Vary", "Access-Control-Expose-Headers", "Access-Control-Allow-Credentials"} {
			if n := len(a.Header.Values(field)); n > 1 {
				t.Errorf("%s: %s is there %d times", name, field, n)
			}
		}
		if c.tether != nil && !strings.Contains(a.Header.Get("Vary"), "Origin") {
			t.Errorf("%s: Vary: %q", name, a.Header.Get("Vary"))
		}
	}
}

// Without cors_origins preflights go to the servers and own answers say nothing, as browsers never were here.
func TestWithoutCORSOrigins(t *testing.T) {
	r := fleet(t, 1, sim.Config{AllowedOrigins: []string{"*"}})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	a := r.do("OPTIONS", chatPath, "", "Origin: "+app, "Access-Control-Request-Method: POST")
	if a.StatusCode != 200 || a.server() == "" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("preflight: %d from %q, %v", a.StatusCode, a.server(), a.Header)
	}
	a = r.do("GET", "/v1/models", "", "Origin: "+app)
	for name := range a.Header {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("own answer: %s", name)
		}
	}
}

// The answer to a preflight is that of Starlette, which vLLM uses.
func TestPreflight(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, withCORS(app))
	ask := func(fields ...string) *answer { return r.do("OPTIONS", "/v1/anything?x=y", "", fields...) }
	a := ask("Origin: "+app, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,x-stainless-os")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      app,
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY",
		"Access-Control-Allow-Headers":     "authorization,content-type,x-stainless-os",
		"Access-Control-Max-Age":           "600",
		"Vary":                             "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
		"Content-Type":                     "",
		"Content-Length":                   "",
	} {
		if got := strings.Join(a.Header.Values(name), ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if rec := r.last(); a.StatusCode != 204 || a.body != "" || rec.Status != 204 || rec.Route != "preflight" || rec.Reason != "" {
		t.Errorf("%d %q, recorded as %d of %s", a.StatusCode, a.body, rec.Status, rec.Route)
	}
	a = ask("Origin: https://evil.example", "Access-Control-Request-Method: POST")
	if a.StatusCode != 400 || !strings.Contains(a.body, "proxy.cors_origins") || a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "Origin" {
		t.Errorf("another origin: %d %s, %v", a.StatusCode, a.body, a.Header)
	}
	for _, fields := range [][]string{{"Origin: " + app}, {"Access-Control-Request-Method: POST"}} {
		if a := ask(fields...); a.StatusCode != 404 {
			t.Errorf("%v is no preflight: %d", fields, a.StatusCode)
		}
	}
	if a := r.do("OPTIONS", chatPath, "{}", "Origin: "+app, "Access-Control-Request-Method: POST"); a.StatusCode == 204 {
		t.Error("a preflight has no body")
	}
}

// A head that is refused before it was read to its end shows a page what is wrong, where its origin was read or is no matter.
func TestPagesSeeRefusedHeads(t *testing.T) {
	for _, origins := range []string{"*", app} {
		r := fleet(t, 1, sim.Config{}, withCORS(origins), func(r *rig) { r.cfg.MaxHeaders = 10 })
		p := page{r: r, origin: app}
		for _, c := range []struct {
			head   string
			status int
			knows  bool // the origin was read
		}{
			{"GET / HTTP/1.1\r\nHost: a\r\nOrigin: " + app + "\r\n" + strings.Repeat("X: y\r\n", 20) + "\r\n", 431, true},
			{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: " + app + "\r\n\r\n", 400, true},
			{"GET / HTTP/1.1\r\nHost: a\r\norigin:" + app + "\r\nExpect: x\r\n\r\n", 417, true},
			{"GET / HTTP/3.0\r\n", 505, false},
		} {
			conn := r.dial()
			conn.send(c.head)
			a := conn.receive()
			if s := p.see(a); a.StatusCode != c.status || (s.err == "") != (c.knows || origins == "*") {
				t.Errorf("%s: %.40q: %d, the page sees %+v", origins, c.head, a.StatusCode, s)
			}
		}
	}
}

// A page sees that there is too much to do.
func TestPagesSeeOverload(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, withCORS(app), func(r *rig) { r.cfg.MaxInFlight = 1 })
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	held := r.dial()
	held.send(post(chatPath, chat("x")))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	if s := (page{r: r, origin: app}).fetch("POST", chatPath, chat("x"), asJSON); s.err != "" || s.status != 503 {
		t.Errorf("%+v", s)
	}
	r.sims[0].ClearFaults()
	held.receive()
}

func TestCheckOrigins(t *testing.T) {
	for origin, want := range map[string]string{
		"*":                                  "",
		"https://app.example":                "",
		"http://localhost:3000":              "",
		"http://[::1]:3000":                  "",
		"chrome-extension://abcdef":          "",
		"tauri://localhost":                  "",
		"https://xn--bcher-kva.example":      "",
		"":                                   `"", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
		"null":                               `"null", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
		"app.example":                        `"app.example", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
		"localhost:3000":                     `"localhost:3000", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
		"https://*.example":                  `"https://*.example", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
		"https://b\u00fccher.example":        "\"https://b\u00fccher.example\", want * or an origin as browsers send it, SCHEME://HOST[:PORT]",
		"https://app.example/":               `"https://app.example/", want * or an origin as browsers send it, SCHEME://HOST[:PORT]: did you mean "https://app.example"?`,
		"https://App.example":                `"https://App.example", want * or an origin as browsers send it, SCHEME://HOST[:PORT]: did you mean "https://app.example"?`,
		"https://app.example:443":            `"https://app.example:443", want * or an origin as browsers send it, SCHEME://HOST[:PORT]: did you mean "https://app.example"?`,
		"http://app.example:80/chat?x#y":     `"http://app.example:80/chat?x#y", want * or an origin as browsers send it, SCHEME://HOST[:PORT]: did you mean "http://app.example"?`,
		"https://app.example, https://b.org": `"https://app.example, https://b.org", want * or an origin as browsers send it, SCHEME://HOST[:PORT]`,
	} {
		got := ""
		if err := checkOrigin(origin); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var problems []string
	checkOrigins([]string{"*", app, app}, func(key, problem string) { problems = append(problems, key+": "+problem) })
	want := `[cors_origins[2]: "https://app.example" is there twice cors_origins: * and others, want * alone or the others alone]`
	if fmt.Sprint(problems) != want {
		t.Errorf("got  %v\nwant %s", problems, want)
	}
}
