package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tether/session"
)

// Each configuration has one problem, which is printed with its place and its fix.
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
		up + "session: {drain_idle: 6m}": "c.yaml:2: session.drain_idle: 6m0s, want 1s..5m",
		up + "session: {final_headers: [\"X Final\"]}":                                 `c.yaml:2: session.final_headers[0]: "X Final", want the name of a header field of 1..64 bytes`,
		up + "proxy: {handover: " + strings.Repeat("x", 104) + "}":                     "c.yaml:2: proxy.handover: 104 bytes, want at most 103",
		up + "proxy: {sse_keepalive: 500ms}":                                           "c.yaml:2: proxy.sse_keepalive: 500ms, want 1s..1h and less than idle_timeout (10m0s), or 0 for none",
		up + "proxy: {sse_keepalive: 10m}":                                             "c.yaml:2: proxy.sse_keepalive: 10m0s, want 1s..1h and less than idle_timeout (10m0s), or 0 for none",
		up + "tracing: {endpoint: \"collector:4317\"}":                                 "c.yaml:2: tracing.endpoint: want http://HOST:PORT or https://HOST:PORT",
		up + "tracing: {sample: 2}":                                                    "c.yaml:2: tracing.sample: 2, want 0..1",
		up + "session: {ttl: 1ms}":                                                     "c.yaml:2: session.ttl: 1ms, want 1s..720h",
		up + "session: {secret_file: x}":                                               `c.yaml:2: session.secret_file: "x" is not there, want a file with the secret: write it, or leave the key out`,
		up + "admin: {token_file: /}":                                                  `c.yaml:2: admin.token_file: "/" cannot be read: is a directory, want a file with the secret`,
		up + "session: {secret_file: " + secret + "}":                                  `c.yaml:2: session.secret_file: "` + secret + `" is empty, want a file with the secret`,
		up + "session: {subagents: Own}":                                               `c.yaml:2: session.subagents: "Own", want family or own`,
		up + "session: {sources: [\"body:messages\"]}":                                 `c.yaml:2: session.sources[0]: "body:messages" names no conversation`,
		up + "session: {placement: hash}":                                              `c.yaml:2: session.placement: "hash", want auto, home or load`,
		up + "session: {move_when_busier_by: 2h}":                                      "c.yaml:2: session.move_when_busier_by: 2h0m0s, want 0s..1h or off",
		up + "session: {move_when_busier_by: -1s}":                                     `c.yaml:2: session.move_when_busier_by: "-1s", want a time such as 6s, or off`,
		up + "session: {opening_max_in_flight: 0}":                                     "c.yaml:2: session.opening_max_in_flight: 0, want 1..10000",
		up + "session: {max_in_flight: 10001}":                                         "c.yaml:2: session.max_in_flight: 10001, want 1..10000",
		up + "session: {shed: {waiting: -1, kv: 90}}":                                  "c.yaml:2: session.shed.waiting: -1, want 0..1000000\nc.yaml:2: session.shed.kv: 90, want 0..1",
		up + "session: {shed: {waiting: 0.5, kv: .nan}}":                               "c.yaml:2: session.shed.waiting: \"0.5\", want a whole number\nc.yaml:2: session.shed.kv: \".nan\", want a number",
		up + "health: {path: health}":                                                  `c.yaml:2: health.path: "health", want a path that begins with /`,
		up + "health: {interval: 1ms}":                                                 "c.yaml:2: health.interval: 1ms, want 100ms..1h",
		up + "health: {metrics_path: metrics}":                                         `c.yaml:2: health.metrics_path: "metrics", want a path that begins with / and has no query, or empty`,
		up + "health: {metrics_path: /m?x=1}":                                          `c.yaml:2: health.metrics_path: "/m?x=1", want a path that begins with / and has no query, or empty`,
		up + "proxy: {expose_upstream: yes}":                                           `c.yaml:2: proxy.expose_upstream: "yes", want true or false`,
		up + "proxy: {max_attempts: 17}":                                               "c.yaml:2: proxy.max_attempts: 17, want 1..16",
		up + "proxy: {max_header: 1B}":                                                 "c.yaml:2: proxy.max_header: 1B, want 1KiB..1MiB",
		up + "proxy: {max_body: 2GiB}":                                                 "c.yaml:2: proxy.max_body_total: 25% (1023 MiB), want at least max_body (2GiB)",
		up + "proxy: {max_body: 2GiB, max_body_total: 1GiB}":                           "c.yaml:2: proxy.max_body_total: 1GiB (1024 MiB), want at least max_body (2GiB)",
		up + "proxy: {min_body_rate: 0B}":                                              "c.yaml:2: proxy.min_body_rate: 0B, want 1KiB..1GiB",
		up + "proxy: {min_body_rate: 2GiB}":                                            "c.yaml:2: proxy.min_body_rate: 2GiB, want 1KiB..1GiB",
		up + "proxy: {cors_origins: [\"*\", \"http://A\"]}":                            `c.yaml:2: proxy.cors_origins[1]: "http://A", want * or an origin as browsers send it, SCHEME://HOST[:PORT]: did you mean "http://a"?` + "\n" + "c.yaml:2: proxy.cors_origins: * and others, want * alone or the others alone",
		up + "proxy: {expose: [\"GET /a/../b\"]}":                                      `c.yaml:2: proxy.expose[0]: "GET /a/../b" has /./, .., //, an escaped . or /, or a backslash in it`,
		up + "proxy: {expose: [\"GET /a*\"]}":                                          `c.yaml:2: proxy.expose[0]: "GET /a*", want a * only at the end, after a /`,
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

func TestDefaultIsValid(t *testing.T) {
	c := mustLoad(t, `upstreams: [{url: "http://a"}]`)
	if c.Session.Routing.Return != session.Stay || !c.Session.Routing.Affinity {
		t.Errorf("%+v", c)
	}
}
