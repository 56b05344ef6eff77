package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOrderOfSources(t *testing.T) {
	text := `
listen: ":1"
upstreams: [{url: "http://a"}]
session: {ttl: 1m, sources: [opening]}
health: {rise: 4}
`
	c := mustLoad(t, text, func(s *Source) {
		s.Environ = []string{"PATH=/bin", "TETHER_LISTEN=:2", "TETHER_SESSION_TTL=2m", "TETHER_SESSION_SOURCES=header:X-A, opening", "TETHER_UPSTREAMS=http://b:1,http://c:2"}
		s.Flags = []Flag{{Name: "--listen", Path: "listen", Value: ":3"}}
	})
	if c.Listen != ":3" || c.Session.Pins.TTL != 2*time.Minute || c.Health.Rise != 4 || c.Health.Fall != 3 {
		t.Errorf("%+v", c)
	}
	if fmt.Sprint(c.Session.Identity.Sources) != "[header:X-A opening]" || len(c.Upstreams) != 2 || c.Upstreams[1].URL != "http://c:2" {
		t.Errorf("%v, %v", c.Session.Identity.Sources, c.Upstreams)
	}
	c = mustLoad(t, text, func(s *Source) { s.Upstreams = []string{"http://d:1"} })
	if len(c.Upstreams) != 1 || c.Upstreams[0].URL != "http://d:1" {
		t.Errorf("%v", c.Upstreams)
	}
}

// Kubernetes sets variables for Services whose names begin with tether; these are not tether's keys.
func TestVariablesOfKubernetes(t *testing.T) {
	c := mustLoad(t, `upstreams: [{url: "http://a"}]`, func(s *Source) {
		for _, service := range []string{"TETHER", "TETHER_ADMIN", "TETHER_2", "TETHER_LISTEN"} {
			s.Environ = append(s.Environ,
				service+"_SERVICE_HOST=10.0.0.1", service+"_SERVICE_PORT=8080", service+"_SERVICE_PORT_HTTP=8080", service+"_PORT=tcp://10.0.0.1:8080",
				service+"_PORT_8080_TCP=tcp://10.0.0.1:8080", service+"_PORT_8080_TCP_ADDR=10.0.0.1", service+"_PORT_8080_TCP_PORT=8080",
				service+"_PORT_8080_TCP_PROTO=tcp", service+"_PORT_53_UDP=udp://10.0.0.1:53", service+"_PORT_99_SCTP=sctp://10.0.0.1:99")
		}
	})
	if len(c.Warnings) > 0 {
		t.Error(c.Warnings)
	}
}

// An unknown variable may belong to another program, or be a misspelt key of tether: it is a warning that names the nearest
// key, and never its value.
func TestUnknownVariables(t *testing.T) {
	for name, nearest := range map[string]string{
		"TETHER_LISTN":           "TETHER_LISTEN",
		"TETHER_CONFG":           "TETHER_CONFIG",
		"TETHER_PROXY_MAX_BODIE": "TETHER_PROXY_MAX_BODY",
		"TETHER_BIN":             "TETHER_LISTEN",
		"TETHER_PORT_HTTP":       "TETHER_PROXY_LOOPS",
		"TETHER_ADMIN_SERVICE":   "TETHER_ADMIN_LISTEN",
		"TETHER_":                "TETHER_CONFIG",
	} {
		c := mustLoad(t, `upstreams: [{url: "http://a"}]`, func(s *Source) { s.Environ = []string{name + "=s3cret"} })
		want := name + ": unknown variable, ignored; the nearest known one is " + nearest
		if len(c.Warnings) != 1 || c.Warnings[0] != want {
			t.Errorf("got  %q\nwant %q", c.Warnings, want)
		}
	}
	_, err := Load(Source{Environ: []string{"TETHER_UPSTREAM=http://a"}, Memory: memory})
	want := "upstreams: none, want at least one: --upstream http://HOST:PORT, TETHER_UPSTREAMS, or upstreams: in the file given with -c\n" +
		"TETHER_UPSTREAM: unknown variable, ignored; the nearest known one is TETHER_UPSTREAMS"
	if problemsOf(err) != want {
		t.Errorf("got  %s\nwant %s", problemsOf(err), want)
	}
}

// The place of a problem is where its value was set, even if that value replaced another value, a whole list, or an
// unreadable value.
func TestPlacesOfOverrides(t *testing.T) {
	const file = "upstreams:\n  - url: http://a:1\n    slot: 1\nsession:\n  sources:\n    - header:X-A\n"
	environ := func(pairs ...string) func(*Source) { return func(s *Source) { s.Environ = pairs } }
	for _, c := range []struct {
		file   string
		change func(*Source)
		want   string
	}{
		{file, func(s *Source) { s.Upstreams = []string{"vllm-0:8000"} }, `--upstream: upstreams[0].url: "vllm-0:8000": scheme "vllm-0", want http, https or http+unix`},
		{file, environ("TETHER_UPSTREAMS=vllm-0:8000"), `TETHER_UPSTREAMS: upstreams[0].url: "vllm-0:8000": scheme "vllm-0", want http, https or http+unix`},
		{file, environ("TETHER_SESSION_SOURCES=query:x"), `TETHER_SESSION_SOURCES: session.sources[0]: "query:x", want header:NAME, cookie:NAME, body:FIELD or opening`},
		{"health: {rise: many}\n" + file, environ("TETHER_HEALTH_RISE=0"), "TETHER_HEALTH_RISE: health.rise: 0, want 1..100\n" + `c.yaml:1: health.rise: "many", want a whole number`},
		{"health: {rise: many}\n" + file, environ("TETHER_HEALTH_RISE=few"), `TETHER_HEALTH_RISE: health.rise: "few", want a whole number` + "\n" + `c.yaml:1: health.rise: "many", want a whole number`},
		{"log: {level: []}\n" + file, func(s *Source) { s.Flags = []Flag{{"--log-level", "log.level", "loud"}} }, `--log-level: log.level: "loud", want debug, info, warn or error` + "\nc.yaml:1: log.level: want a plain value"},
		{file, func(s *Source) { s.Affinity, s.Environ = "maybe", []string{"TETHER_HEALTH_RISE=0"} }, `--affinity: "maybe", want on or off` + "\nTETHER_HEALTH_RISE: health.rise: 0, want 1..100"},
	} {
		if _, err := load(t, c.file, c.change); problemsOf(err) != c.want {
			t.Errorf("got  %s\nwant %s", problemsOf(err), c.want)
		}
	}
}

// The environment may name the file, for commands without -c.
func TestFileVariable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(`{listen: ":1", upstreams: [{url: "http://a"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{FileVariable + "=" + path}
	if c, err := Load(Source{Environ: environ, Memory: memory}); err != nil || c.Listen != ":1" {
		t.Errorf("%+v, %v", c, err)
	}
	c := mustLoad(t, `{listen: ":2", upstreams: [{url: "http://a"}]}`, func(s *Source) { s.Environ = environ })
	if c.Listen != ":2" {
		t.Errorf("the variable won over the named file: %s", c.Listen)
	}
}

// A command that asks a running tether needs the address, whatever else is wrong with the configuration.
func TestAdminListen(t *testing.T) {
	for text, want := range map[string]string{
		"": "127.0.0.1:8081",
		"admin: {listen: \":9\", token_file: /x}":                      ":9",
		"listen: 5\nhealht: {}\nupstreams: 7\nadmin: {listen: \":9\"}": ":9",
		"admin: {listen: 9}":   "c.yaml:1: admin.listen: \"9\", want HOST:PORT",
		"admin: {listen: [9]}": "c.yaml:1: admin.listen: want a plain value",
		"admin: []":            "c.yaml:1: admin: want keys with values",
		"admin: {":             "c.yaml: not YAML: [1:8] could not find flow mapping end token '}'",
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := AdminListen(Source{File: path})
		if err != nil {
			got = temporary.ReplaceAllString(err.Error(), "c.yaml")
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	got, err := AdminListen(Source{
		Environ: []string{"TETHER_ADMIN_LISTEN=:1", "TETHER_LISTEN=nonsense"},
		Flags:   []Flag{{Name: "--admin-listen", Path: "admin.listen", Value: ":2"}},
	})
	if err != nil || got != ":2" {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzLoad: no file makes Load panic, and what loads is valid: the output of check loads again as the same
// configuration.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("upstreams: [{url: \"http://a\"}]\nsession: {max: many, x: *a}")
	f.Add("a: &a [*a]\n<<: *a")
	f.Add("upstreams: &a [*a, &b {url: \"http://a\"}, *b, !!str x, & , *]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load(t, text)
		if (c == nil) == (err == nil) {
			t.Fatal("neither a configuration nor an error, or both")
		}
		if err == nil {
			loadsAgain(t, c)
		}
	})
}
