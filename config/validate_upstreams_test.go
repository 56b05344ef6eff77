package config

import (
	"strings"
	"testing"
)

// Whatever is wrong with a URL, its user and password are not shown.
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

func TestModelProblems(t *testing.T) {
	const up = "upstreams: [{url: \"http://a\"}]\n"
	for text, want := range map[string]string{
		up + "models: {aliases: [a]}":                                                           "c.yaml:2: models.aliases: want keys with values",
		up + "models: {aliases: {a: [b]}}":                                                      "c.yaml:2: models.aliases.a: want a plain value",
		up + "models: {aliases: {a: b, b: c}}":                                                  `c.yaml:2: models.aliases.a: "b" is an alias itself, want a model`,
		up + "models: {aliases: {a: \"\"}}":                                                     `c.yaml:2: models.aliases.a: "", want a name of 1..512 bytes without control characters`,
		up + "models: {aliases: {\"a\\nb\": c}}":                                                `c.yaml:2: models.aliases: "a\nb", want a name of 1..512 bytes without control characters`,
		up + "models: {prefill_rate: {a: fast}}":                                                `c.yaml:2: models.prefill_rate.a: "fast", want a number`,
		up + "models: {prefill_rate: {a: 9}}":                                                   "c.yaml:2: models.prefill_rate.a: 9, want 10..10000000 tokens a second",
		up + "models: {prefill_rate: {a: NaN}}":                                                 "c.yaml:2: models.prefill_rate.a: NaN, want 10..10000000 tokens a second",
		up + "models: {prefill_rate: {\"\": 10}}":                                               `c.yaml:2: models.prefill_rate: "", want a name of 1..512 bytes without control characters`,
		up + "models: {aliases: {a: b}, prefill_rate: {a: 10}}":                                 `c.yaml:2: models.prefill_rate.a: is an alias, want its model "b"`,
		"upstreams: [{url: \"http://a\", models: [llama]}]\nmodels: {prefill_rate: {lama: 10}}": "c.yaml:2: models.prefill_rate.lama: is no upstream's model, did you mean llama?",
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

func TestProblemsOfUpstreamLimits(t *testing.T) {
	for text, want := range map[string]string{
		"upstreams: [{url: \"http://a\", max_in_flight: -1}]":      "c.yaml:1: upstreams[0].max_in_flight: -1, want 0..1000000",
		"upstreams: [{url: \"http://a\", max_in_flight: 1000001}]": "c.yaml:1: upstreams[0].max_in_flight: 1000001, want 0..1000000",
		"upstreams: [{url: \"http://a\", max_in_flight: many}]":    `c.yaml:1: upstreams[0].max_in_flight: "many", want a whole number`,
	} {
		if _, err := load(t, text); problemsOf(err) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, problemsOf(err), want)
		}
	}
	if s := mustLoad(t, "upstreams: [{url: \"http://a\", max_in_flight: 7}]").Specs(); s[0].MaxInFlight != 7 {
		t.Errorf("%+v", s[0])
	}
}

func TestProblemsOfRanks(t *testing.T) {
	for text, want := range map[string]string{
		"upstreams: [{url: \"http://a/v1\"}]":                                                                                           `c.yaml:1: upstreams[0].url: "http://a/v1": prefix /v1, want it without /v1, which is part of every request's own path`,
		"upstreams: [{url: \"http://a/p?x\"}]":                                                                                          `c.yaml:1: upstreams[0].url: "http://a/p?x": want http://HOST:PORT or http://HOST:PORT/PREFIX, without a user, query or fragment`,
		"upstreams: [{url: \"http://a/p/../q\"}]":                                                                                       `c.yaml:1: upstreams[0].url: "http://a/p/../q": prefix /p/../q, want names of letters, digits and -._~ between slashes, and none of dots alone`,
		"upstreams: [{url: \"http://a/~p\"}]":                                                                                           `c.yaml:1: upstreams[0].name: "a:80/~p", want 1..128 letters, digits and .:_-@/[]`,
		"upstreams: [{url: \"http://a/p\"}, {url: \"http://a/p/\"}]":                                                                    `c.yaml:1: upstreams[1].name: "a:80/p" is the name of upstreams[0] already: one entry for each server, or give them names`,
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

// Two upstreams at one address are strange and not wrong. The warning shows no address.
func TestAddressThatIsThereTwice(t *testing.T) {
	c := mustLoad(t, "upstreams:\n- {name: a, url: \"http://x:1\"}\n- {name: b, url: \"http://y:1\"}\n- {name: c, url: \"http://x:1/\"}\n- {name: d, url: \"http://x:1/p\"}\n")
	want := "c.yaml:4: upstreams[2].url: the address of upstreams[0] already: both upstreams are one server, with one cache"
	if len(c.Warnings) != 1 || temporary.ReplaceAllString(c.Warnings[0], "c.yaml") != want {
		t.Errorf("%q, want %q", c.Warnings, want)
	}
}
