package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tether/ring"
	"tether/session"
	"tether/upstream"
	"tether/upstream/transport"
)

const memory = 4 << 30

func load(t *testing.T, text string, change ...func(*Source)) (*Config, error) {
	t.Helper()
	src := Source{File: filepath.Join(t.TempDir(), "c.yaml"), Memory: memory}
	if err := os.WriteFile(src.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&src)
	}
	return Load(src)
}

func mustLoad(t *testing.T, text string, change ...func(*Source)) *Config {
	t.Helper()
	c, err := load(t, text, change...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The example holds every key, and with its default.
func TestExample(t *testing.T) {
	const path = "../config.example.yaml"
	c, err := Load(Source{File: path, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Upstreams = c.Upstreams
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("the example differs from the defaults (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	has := func(path string) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		if !strings.Contains(string(text), key+":") {
			t.Errorf("no %s in the example", path)
		}
	}
	eachLeaf("", reflect.ValueOf(c).Elem(), func(path string, _ reflect.Value) { has(path) })
	eachLeaf("upstreams", reflect.ValueOf(&Upstream{}).Elem(), func(path string, _ reflect.Value) { has(path) })
}

// What check prints is a configuration itself, and the same one.
func TestEffectiveIsAConfiguration(t *testing.T) {
	loadsAgain(t, mustLoad(t, `{upstreams: [{url: "http://vllm-3:1", data_parallel_ranks: 2}, {url: "http://vllm-1:1", weight: 5, data_parallel_ranks: 2}], proxy: {max_body_total: 123MiB}, session: {return: home}}`))
}

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

// Kubernetes sets variables for Services whose names begin with tether: they are none of ours.
func TestVariablesOfKubernetes(t *testing.T) {
	mustLoad(t, `upstreams: [{url: "http://a"}]`, func(s *Source) {
		for _, service := range []string{"TETHER", "TETHER_ADMIN", "TETHER_2", "TETHER_LISTEN"} {
			s.Environ = append(s.Environ,
				service+"_SERVICE_HOST=10.0.0.1", service+"_SERVICE_PORT=8080", service+"_SERVICE_PORT_HTTP=8080", service+"_PORT=tcp://10.0.0.1:8080",
				service+"_PORT_8080_TCP=tcp://10.0.0.1:8080", service+"_PORT_8080_TCP_ADDR=10.0.0.1", service+"_PORT_8080_TCP_PORT=8080",
				service+"_PORT_8080_TCP_PROTO=tcp", service+"_PORT_53_UDP=udp://10.0.0.1:53", service+"_PORT_99_SCTP=sctp://10.0.0.1:99")
		}
	})
	for _, name := range []string{"TETHER_LISTN", "TETHER_PORTS", "TETHER_PORT_HTTP", "TETHER_SERVICES", "TETHER_ADMIN_SERVICE", "TETHER_"} {
		_, err := load(t, `upstreams: [{url: "http://a"}]`, func(s *Source) { s.Environ = []string{name + "=1"} })
		if err == nil || !strings.HasPrefix(err.Error(), name+": unknown variable") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A problem stands where its value was set, also where that replaced another value, a whole list, or one that could
// not be read.
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

// A value that is named may be repeated; what is wrong with it is told where it is used.
func TestAliases(t *testing.T) {
	c := mustLoad(t, `
health: {rise: &n 3, fall: *n}
session: {sources: &list [opening, "header:X-A"]}
proxy: &all {expose: ["GET /a"], max_in_flight: 5}
upstreams: [&one {url: "http://a", weight: *n}, {url: &u "http://b"}]
`)
	if c.Health.Rise != 3 || c.Health.Fall != 3 || *c.Upstreams[0].Weight != 3 || c.Upstreams[1].URL != "http://b" || len(c.Session.Identity.Sources) != 2 || c.Proxy.MaxInFlight != 5 {
		t.Errorf("%+v", c)
	}
}

// Whatever is wrong with a URL, the user and password in it are not told.
func TestURLsWithAPassword(t *testing.T) {
	for _, u := range []string{
		"http://user:hunter2@a", "http://hunter2@a:1", "user:hunter2@a:1", "hunter2://user@a", "http://user:hunter2/x@a", "http://user:hun:hunter2@a:1",
		"http://user:hunter2%zz@a", "https://user:hunter2@a", "http+unix://user:hunter2@/a", "http://user:hunter2@a:99999", "http://a@b:hunter2@c",
	} {
		_, err := load(t, "", func(s *Source) { s.Upstreams = []string{u} })
		if got := problemsOf(err); err == nil || strings.Contains(got, "hunter2") || !strings.Contains(got, "***@") || !strings.Contains(got, "without a user and password") {
			t.Errorf("%s: %s", u, got)
		}
	}
}

// The environment may name the file, for commands that are not told one.
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
		t.Errorf("the variable won over the file that was named: %s", c.Listen)
	}
	_, err := Load(Source{Environ: []string{"TETHER_CONFG=x"}, Upstreams: []string{"http://a"}, Memory: memory})
	if err == nil || err.Error() != "TETHER_CONFG: unknown variable, did you mean TETHER_CONFIG?" {
		t.Error(err)
	}
}

// Who asks a running tether needs to know where, whatever else is wrong with the configuration.
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

func TestSlots(t *testing.T) {
	slots := func(text string) string {
		t.Helper()
		var out []string
		for _, s := range mustLoad(t, text).Specs() {
			out = append(out, fmt.Sprintf("%s=%d", s.Name, s.Slot))
		}
		return strings.Join(out, " ")
	}
	for text, want := range map[string]string{
		// StatefulSet pods by their hosts, in any order, with gaps
		`upstreams: [{url: "http://vllm-2.vllm:8000"}, {url: "http://vllm-0.vllm:8000"}, {url: "http://vllm-7.vllm:8000"}]`: "vllm-2.vllm:8000=2 vllm-0.vllm:8000=0 vllm-7.vllm:8000=7",
		// by the given names
		`upstreams: [{url: "http://10.0.0.2", name: gpu-1}, {url: "http://10.0.0.1", name: gpu-0}]`: "gpu-1=1 gpu-0=0",
		// positions, where that is not so for all
		`upstreams: [{url: "http://vllm-1"}, {url: "http://other"}]`:                      "vllm-1:80=0 other:80=1",
		`upstreams: [{url: "http://a-1"}, {url: "http://b-0"}]`:                           "a-1:80=0 b-0:80=1",
		`upstreams: [{url: "http://a-1:1"}, {url: "http://a-1:2"}]`:                       "a-1:1=0 a-1:2=1",
		`upstreams: [{url: "http://a-01"}, {url: "http://a-02"}]`:                         "a-01:80=0 a-02:80=1",
		`upstreams: [{url: "http://a-4096"}, {url: "http://a-1"}]`:                        "a-4096:80=0 a-1:80=1",
		`upstreams: [{url: "http://10.0.0.2:8000"}, {url: "http://10.0.0.1:8000"}]`:       "10.0.0.2:8000=0 10.0.0.1:8000=1",
		`upstreams: [{url: "http+unix:///run/a.sock"}, {url: "http+unix:///run/b.sock"}]`: "/run/a.sock=0 /run/b.sock=1",
		// configured
		`upstreams: [{url: "http://vllm-1", slot: 4095}, {url: "http://vllm-0", slot: 3}]`: "vllm-1:80=4095 vllm-0:80=3",
	} {
		if got := slots(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	ranks := mustLoad(t, `upstreams: [{url: "http://vllm-7", data_parallel_ranks: 512}, {url: "http://vllm-0", name: vllm-0, data_parallel_ranks: 512}, {url: "http://x", name: "vllm-0@512", data_parallel_ranks: 512}]`)
	if s := ranks.Specs(); s[0].Ranks != 512 || s[0].Slot != 0 || s[1].Slot != 1 || s[2].Name != "vllm-0@512" { // not all are numbered
		t.Errorf("%+v", s)
	}
	want := []upstream.Spec{{
		Name: "a:1", Address: transport.Address{Network: "tcp", Dial: "a:1", Host: "a:1"}, Weight: ring.FullWeight,
	}, {Name: "b", Address: transport.Address{Network: "tcp", Dial: "b:80", Host: "b"}, Slot: 1, Drain: true}}
	got := mustLoad(t, `upstreams: [{url: "http://a:1"}, {url: "http://b", name: b, weight: 0, drain: true}]`).Specs()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// secretFile writes a file and gives its path.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestManners(t *testing.T) {
	for name, text := range map[string]string{"alone": "sk-secret", "on a line": "sk-secret\n", "on a line of Windows": "sk-secret\r\n", "in white space": "\n\t sk-secret \n\n"} {
		for _, c := range []struct {
			keys string
			want transport.RequestOptions
		}{
			{"", transport.RequestOptions{}},
			{"host_header: upstream", transport.RequestOptions{}},
			{"host_header: preserve", transport.RequestOptions{PreserveHost: true}},
			{"api_key_file: FILE", transport.RequestOptions{Key: "sk-secret"}},
			{"api_key_file: FILE, api_key_override: true", transport.RequestOptions{Key: "sk-secret", OverrideKey: true}},
			{`api_key_file: "", api_key_override: false`, transport.RequestOptions{}},
		} {
			cfg := mustLoad(t, `upstreams: [{url: "http://a", `+strings.Replace(c.keys, "FILE", secretFile(t, text), 1)+`}]`)
			if got := cfg.Specs()[0].RequestOptions; got != c.want {
				t.Errorf("a key %s, %s: %+v with %q", name, c.keys, got, string(got.Key))
			}
			shown, err := cfg.Effective()
			if err != nil || strings.Contains(shown, "sk-secret") || strings.Contains(fmt.Sprintf("%+v", *cfg), "sk-secret") {
				t.Errorf("%v: the key is shown:\n%s\n%+v", err, shown, *cfg)
			}
			if diff := cmp.Diff(cfg.Specs(), mustLoad(t, shown).Specs()); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// A key that cannot be sent is a problem that does not tell it.
func TestUnfitKeys(t *testing.T) {
	for _, text := range []string{"hunter2 x", "hunter2\nx", "hunter2\r\nX-Evil: 1", "hunter2\x00", "hunter2\x7f", "hunter2\tx", "hünter2", "hunter2\xff", strings.Repeat("hunter2", 586)} {
		path := secretFile(t, text)
		_, err := load(t, "upstreams:\n  - url: http://a\n    api_key_file: "+path)
		want := `c.yaml:3: upstreams[0].api_key_file: "` + path + `" holds what cannot be sent as a key, want a file with 1..4096 bytes of visible ASCII on one line`
		if got := problemsOf(err); got != want {
			t.Errorf("%.20q\ngot  %s\nwant %s", text, got, want)
		}
	}
	if _, err := load(t, `upstreams: [{url: "http://a", api_key_file: `+secretFile(t, strings.Repeat("k", 4096))+`}]`); err != nil {
		t.Error(err)
	}
}

// Names of models may have dots and colons in them, in the file as in the environment.
func TestModels(t *testing.T) {
	const file = "upstreams:\n  - {url: \"http://a\", models: [\"org/llama-3.1:8b\", x]}\n  - url: http://b\n"
	c := mustLoad(t, file+"models:\n  aliases: {gpt-4.1: org/llama-3.1:8b, \"7\": x}\n")
	want := map[string]string{"gpt-4.1": "org/llama-3.1:8b", "7": "x"}
	if diff := cmp.Diff(want, c.Models.Aliases); diff != "" {
		t.Error(diff)
	}
	if specs := c.Specs(); len(specs[0].Models) != 2 || specs[0].Models[0] != "org/llama-3.1:8b" || specs[1].Models != nil {
		t.Errorf("%+v", specs)
	}
	text, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, text)
	if diff := cmp.Diff(c.Models, again.Models); diff != "" || len(again.Specs()[0].Models) != 2 {
		t.Error(diff)
	}
	c = mustLoad(t, file, func(s *Source) { s.Environ = []string{"TETHER_MODELS_ALIASES=gpt-4.1=org/llama-3.1:8b, 7=x"} })
	if diff := cmp.Diff(want, c.Models.Aliases); diff != "" {
		t.Error(diff)
	}
	if c := mustLoad(t, file+"models:\n  aliases:\n"); len(c.Models.Aliases) != 0 {
		t.Errorf("%+v", c.Models)
	}
}

func TestModelProblems(t *testing.T) {
	const up = "upstreams: [{url: \"http://a\"}]\n"
	for text, want := range map[string]string{
		up + "models: {aliases: [a]}":            "c.yaml:2: models.aliases: want keys with values",
		up + "models: {aliases: {a: [b]}}":       "c.yaml:2: models.aliases.a: want a plain value",
		up + "models: {aliases: {a: b, b: c}}":   `c.yaml:2: models.aliases.a: "b" is an alias itself, want a model`,
		up + "models: {aliases: {a: \"\"}}":      `c.yaml:2: models.aliases.a: "", want a name of 1..512 bytes without control characters`,
		up + "models: {aliases: {\"a\\nb\": c}}": `c.yaml:2: models.aliases: "a\nb", want a name of 1..512 bytes without control characters`,
		"upstreams: [{url: \"http://a\", models: [x, \"\", x]}]": `c.yaml:1: upstreams[0].models[1]: "", want a name of 1..512 bytes without control characters` + "\n" +
			`c.yaml:1: upstreams[0].models[2]: "x" is there twice`,
		"upstreams: [{url: \"http://a\", models: [llama]}]\nmodels: {aliases: {a: lama}}":               `c.yaml:2: models.aliases.a: "lama" is no upstream's model, did you mean llama?`,
		"upstreams: [{url: \"http://a\", models: [a]}, {url: \"http://b\"}]\nmodels: {aliases: {a: b}}": "c.yaml:2: models.aliases.a: is a model of an upstream, want another name",
		"upstreams: [{url: \"http://a\", models: [a, b]}]\nmodels: {aliases: {a: b}}":                   "c.yaml:2: models.aliases.a: is a model of an upstream, want another name",
	} {
		if _, err := load(t, text); problemsOf(err) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, problemsOf(err), want)
		}
	}
}

func TestProblemsOfRanks(t *testing.T) {
	for text, want := range map[string]string{
		"upstreams: [{url: \"http://a\", data_parallel_ranks: 4097}]":                                                                   "c.yaml:1: upstreams[0].data_parallel_ranks: 4097, want 0..4096",
		"upstreams: [{url: \"http://a\", data_parallel_ranks: -1}]":                                                                     "c.yaml:1: upstreams[0].data_parallel_ranks: -1, want 0..4096",
		"upstreams: [{url: \"http://a\", data_parallel_ranks: two}]":                                                                    `c.yaml:1: upstreams[0].data_parallel_ranks: "two", want a whole number`,
		"upstreams: [{url: \"http://a\", data_parallel_ranks: 4}, {url: \"http://b\"}]":                                                 "c.yaml:1: upstreams[1].data_parallel_ranks: 0, and upstreams[0] has 4: want the same number for all",
		"upstreams: [{url: \"http://a\", slot: 1024, data_parallel_ranks: 4}]":                                                          "c.yaml:1: upstreams[0].data_parallel_ranks: 4 at slot 1024 make the slots 4096..4099, want at most 4095",
		"upstreams: [{url: \"http://a-8\", data_parallel_ranks: 512}]":                                                                  "c.yaml:1: upstreams[0].data_parallel_ranks: 512 at slot 8 make the slots 4096..4607, want at most 4095",
		"upstreams: [{url: \"http://a\", slot: 4096, data_parallel_ranks: 4}]":                                                          "c.yaml:1: upstreams[0].slot: 4096, want 0..4095",
		"upstreams: [{url: \"http://a\", slot: 4294967296, data_parallel_ranks: 4096}]":                                                 "c.yaml:1: upstreams[0].slot: 4294967296, want 0..4095",
		"upstreams: [{url: \"http://a\", name: \"b@1\", data_parallel_ranks: 2}, {url: \"http://b\", name: b, data_parallel_ranks: 2}]": `c.yaml:1: upstreams[0].name: "b@1" is the name of a rank of upstreams[1]`,
		"upstreams: [{url: \"http://b:1\", data_parallel_ranks: 2}, {url: \"http://a\", name: \"b:1@0\", data_parallel_ranks: 2}]":      `c.yaml:1: upstreams[1].name: "b:1@0" is the name of a rank of upstreams[0]`,
	} {
		if _, err := load(t, text); problemsOf(err) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, problemsOf(err), want)
		}
	}
}

// Each of these has one problem, with its place and its fix.
func TestProblems(t *testing.T) {
	const up = "upstreams: [{url: \"http://a\"}]\n"
	secret := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(secret, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                               "upstreams: none, want at least one: --upstream http://HOST:PORT, TETHER_UPSTREAMS, or upstreams: in c.yaml",
		"upstreams:":                     "c.yaml:1: upstreams: none, want at least one: --upstream http://HOST:PORT, TETHER_UPSTREAMS, or upstreams: in c.yaml",
		"upstreams: {}":                  "c.yaml:1: upstreams: want a list",
		up + "upstream: x":               "c.yaml:2: upstream: unknown key, did you mean upstreams?",
		up + "a: b":                      "c.yaml:2: a: unknown key",
		up + "listen: []":                "c.yaml:2: listen: want a plain value",
		up + "listen:":                   "c.yaml:2: listen: no value",
		up + "session: 5":                "c.yaml:2: session: want keys with values",
		up + "session: {max: many}":      `c.yaml:2: session.max: "many", want a whole number`,
		up + "session: {max: 1.5}":       `c.yaml:2: session.max: "1.5", want a whole number`,
		up + "session:\n  return: sway":  `c.yaml:3: session.return: "sway", want stay or home`,
		up + "session: {scope: me}":      `c.yaml:2: session.scope: "me", want authorization, none or header:NAME`,
		up + "session: {ttl: 1ms}":       "c.yaml:2: session.ttl: 1ms, want 1s..720h",
		up + "session: {secret_file: x}": `c.yaml:2: session.secret_file: "x" is not there, want a file with the secret: write it, or leave the key out`,
		up + "admin: {token_file: /}":    `c.yaml:2: admin.token_file: "/" cannot be read: is a directory, want a file with the secret`,
		up + "session: {secret_file: " + secret + "}":                                  `c.yaml:2: session.secret_file: "` + secret + `" is empty, want a file with the secret`,
		up + "session: {subagents: Own}":                                               `c.yaml:2: session.subagents: "Own", want family or own`,
		up + "session: {sources: [\"body:messages\"]}":                                 `c.yaml:2: session.sources[0]: "body:messages" names no conversation`,
		up + "session: {opening_max_in_flight: 0}":                                     "c.yaml:2: session.opening_max_in_flight: 0, want 1..10000",
		up + "health: {path: health}":                                                  `c.yaml:2: health.path: "health", want a path that begins with /`,
		up + "health: {interval: 1ms}":                                                 "c.yaml:2: health.interval: 1ms, want 100ms..1h",
		up + "proxy: {expose_upstream: yes}":                                           `c.yaml:2: proxy.expose_upstream: "yes", want true or false`,
		up + "proxy: {max_attempts: 17}":                                               "c.yaml:2: proxy.max_attempts: 17, want 1..16",
		up + "proxy: {max_header: 1B}":                                                 "c.yaml:2: proxy.max_header: 1B, want 1KiB..1MiB",
		up + "proxy: {max_body: 2GiB}":                                                 "c.yaml:2: proxy.max_body_total: 25% (1023 MiB), want at least max_body (2GiB)",
		up + "proxy: {max_body: 2GiB, max_body_total: 1GiB}":                           "c.yaml:2: proxy.max_body_total: 1GiB (1024 MiB), want at least max_body (2GiB)",
		up + "proxy: {expose: [\"GET /a/../b\"]}":                                      `c.yaml:2: proxy.expose[0]: "GET /a/../b" has /./, .., //, an escaped . or /, or a backslash in it`,
		up + "proxy: {expose: [\"GET /a*\"]}":                                          `c.yaml:2: proxy.expose[0]: "GET /a*", want a * only at the end, behind a /`,
		up + "admin: {listen: \":8080\"}":                                              `c.yaml:2: admin.listen: ":8080" is where clients are served, want another`,
		up + "listen: \":99999\"":                                                      `c.yaml:2: listen: ":99999" has the port "99999", want 0..65535`,
		up + "listen: \":nope\"":                                                       `c.yaml:2: listen: ":nope" has the port "nope", want 0..65535`,
		up + "listen: \":\"":                                                           `c.yaml:2: listen: ":" has the port "", want 0..65535`,
		up + "listen: \"unix:/x\"":                                                     `c.yaml:2: listen: "unix:/x" has the port "/x", want 0..65535`,
		up + "admin: {listen: \"127.0.0.1:-1\"}":                                       `c.yaml:2: admin.listen: "127.0.0.1:-1" has the port "-1", want 0..65535`,
		up + "admin: {listen: \"127.0.0.1\"}":                                          `c.yaml:2: admin.listen: "127.0.0.1", want HOST:PORT`,
		up + "log: {level: fatal}":                                                     `c.yaml:2: log.level: "fatal", want debug, info, warn or error`,
		up + "log: {level: dpanic}":                                                    `c.yaml:2: log.level: "dpanic", want debug, info, warn or error`,
		up + "log: {level: \"\"}":                                                      `c.yaml:2: log.level: "", want debug, info, warn or error`,
		up + "health: {rise: &a 0,\nfall: *a}":                                         "c.yaml:2: health.rise: 0, want 1..100\nc.yaml:3: health.fall: 0, want 1..100",
		up + "health: {rise: *a}":                                                      "c.yaml:2: health.rise: *a repeats the value with &a, want one such value in the file",
		up + "health: {rise: &a 1, fall: &a 2}\nproxy: {max_attempts: *a}":             "c.yaml:3: proxy.max_attempts: *a repeats the value with &a, want one such value in the file",
		up + "listen: !!str 8080":                                                      "c.yaml:2: listen: !!str is a tag, want a plain value",
		up + "health: &a {rise: 2}\nproxy:\n  <<: *a":                                  "c.yaml:4: proxy.<<: keys cannot be merged: write them out",
		up + "auth: {keys_file: x}":                                                    `c.yaml:2: auth.keys_file: "x" is not there, want a file with API keys: write it, or leave the key out`,
		up + "auth: {keys_file: " + secret + "}":                                       `c.yaml:2: auth.keys_file: "` + secret + `": no key in it, want a line NAME SHA-256 for each`,
		up + "auth: {keys_file: x}\nsession: {scope: header:X-User}":                   `c.yaml:2: auth.keys_file: "x" is not there, want a file with API keys: write it, or leave the key out` + "\n" + `c.yaml:3: session.scope: "header:X-User", and auth.keys_file names the callers: leave the key out`,
		up + "log: {format: xml}":                                                      `c.yaml:2: log.format: "xml", want json or console`,
		"upstreams: [{url: \"http://a\", name: \"" + strings.Repeat("x", 129) + "\"}]": `c.yaml:1: upstreams[0].name: "` + strings.Repeat("x", 129) + `", want 1..128 letters, digits and .:_-@/[]`,
		"upstreams: [{url: \"http://a\", slot: 1}, {url: \"http://b\", slot: 1}]":      "c.yaml:1: upstreams[1].slot: 1 is the slot of upstreams[0] already",
		"upstreams: [{name: a}]":                                                       `c.yaml:1: upstreams[0].url: "": no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH`,
		"upstreams: [{url: \"http://a\", host_header: client}]":                        `c.yaml:1: upstreams[0].host_header: "client", want upstream or preserve`,
		"upstreams: [{url: \"http://a\", api_key_file: x}]":                            `c.yaml:1: upstreams[0].api_key_file: "x" is not there, want a file with the secret: write it, or leave the key out`,
		"upstreams: [{url: \"http://a\", api_key_file: " + secret + "}]":               `c.yaml:1: upstreams[0].api_key_file: "` + secret + `" is empty, want a file with the secret`,
		"upstreams: [{url: \"http://a\", api_key_override: true}]":                     "c.yaml:1: upstreams[0].api_key_override: true, and there is no key to send: want api_key_file as well",
		"upstreams: [{url: \"http://a\", api_key: sk-1}]":                              "c.yaml:1: upstreams[0].api_key: unknown key",
		up + "---\nlisten: \":1\"":                                                     "c.yaml: more than one YAML document",
		up + "listen: \":1\"\nlisten: \":2\"":                                          "",
	} {
		_, err := load(t, text)
		if want == "" {
			if err == nil {
				t.Errorf("%s: no problem", text)
			}
			continue
		}
		if got := problemsOf(err); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// problemsOf is the text of an error, with the name alone of the file that load wrote.
func problemsOf(err error) string {
	if err == nil {
		return ""
	}
	return temporary.ReplaceAllString(err.Error(), "c.yaml")
}

// temporary is the path of the file in an error.
var temporary = regexp.MustCompile(`(?m)/[^\s"]+/c\.yaml`)

func TestDefaultIsValid(t *testing.T) {
	c := mustLoad(t, `upstreams: [{url: "http://a"}]`)
	if c.Session.Routing.Return != session.Stay || !c.Affinity {
		t.Errorf("%+v", c)
	}
}

// FuzzLoad: no file may panic, and what loads is valid: what check prints of it loads again, as the same.
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

// FuzzEffective: so it is with any text that is a value or a name, which YAML may take for something else.
func FuzzEffective(f *testing.F) {
	f.Add("gpt-4o", "org/llama-3.1:8b", "/health", int64(90*time.Second), uint(1<<20))
	f.Add("~", "0x1", "/a?b=~'", int64(time.Hour), uint(12345))
	f.Add("1e3", "- a", "/\u0085\"#'", int64(1500*time.Millisecond), uint(3))
	f.Fuzz(func(t *testing.T, alias, model, path string, ttl int64, size uint) {
		text := fmt.Sprintf(`{upstreams: [{url: "http://a", models: [%s]}], models: {aliases: {%s: %s}}, health: {path: %s}, session: {ttl: %v}, proxy: {max_body: %dKiB, max_body_total: 3GiB}}`,
			quoted(t, model), quoted(t, alias), quoted(t, model), quoted(t, path), time.Duration(ttl), size)
		if c, err := load(t, text); err == nil {
			loadsAgain(t, c)
		}
	})
}

// quoted is a text as YAML in quotes has it.
func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// loadsAgain fails where what check prints of c does not load as c.
func loadsAgain(t *testing.T, c *Config) {
	t.Helper()
	shown, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	again, err := load(t, shown)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if diff := cmp.Diff(c.Specs(), again.Specs()); diff != "" {
		t.Fatalf("%s\n%s", diff, shown)
	}
	first := *c
	first.Upstreams, again.Upstreams = nil, nil
	if diff := cmp.Diff(&first, again, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s\n%s", diff, shown)
	}
}
