package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tether/ring"
	"tether/upstream"
	"tether/upstream/transport"
)

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
		// positions, where not all have such a name
		`upstreams: [{url: "http://vllm-1"}, {url: "http://other"}]`:                      "vllm-1:80=0 other:80=1",
		`upstreams: [{url: "http://a-1"}, {url: "http://b-0"}]`:                           "a-1:80=0 b-0:80=1",
		`upstreams: [{url: "http://a-1:1"}, {url: "http://a-1:2"}]`:                       "a-1:1=0 a-1:2=1",
		`upstreams: [{url: "http://a-01"}, {url: "http://a-02"}]`:                         "a-01:80=0 a-02:80=1",
		`upstreams: [{url: "http://a-4096"}, {url: "http://a-1"}]`:                        "a-4096:80=0 a-1:80=1",
		`upstreams: [{url: "http://10.0.0.2:8000"}, {url: "http://10.0.0.1:8000"}]`:       "10.0.0.2:8000=0 10.0.0.1:8000=1",
		`upstreams: [{url: "http://gw-1/gpu-1"}, {url: "http://gw-1/gpu-0/"}]`:            "gw-1:80/gpu-1=0 gw-1:80/gpu-0=1",
		`upstreams: [{url: "http+unix:///run/a.sock"}, {url: "http+unix:///run/b.sock"}]`: "/run/a.sock=0 /run/b.sock=1",
		// configured
		`upstreams: [{url: "http://vllm-1", slot: 4095}, {url: "http://vllm-0", slot: 3}]`: "vllm-1:80=4095 vllm-0:80=3",
	} {
		if got := slots(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	ranks := mustLoad(t, `upstreams: [{url: "http://vllm-7", data_parallel_ranks: 512}, {url: "http://vllm-0", name: vllm-0, data_parallel_ranks: 512}, {url: "http://x", name: "vllm-0@512", data_parallel_ranks: 512}]`)
	if s := ranks.Specs(); s[0].Ranks != 512 || s[0].Slot != 0 || s[1].Slot != 1 || s[2].Name != "vllm-0@512" { // not all have a number
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

func TestRequestOptions(t *testing.T) {
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

// Names of models may have dots and colons, in the file and in the environment.
func TestModels(t *testing.T) {
	const file = "upstreams:\n  - {url: \"http://a\", models: [\"org/llama-3.1:8b\", x]}\n  - url: http://b\n"
	c := mustLoad(t, file+"models:\n  aliases: {gpt-4.1: org/llama-3.1:8b, \"7\": x}\n")
	want := map[string]string{"gpt-4.1": "org/llama-3.1:8b", "7": "x"}
	if diff := cmp.Diff(want, c.Models.Identity.Aliases); diff != "" {
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
	if diff := cmp.Diff(want, c.Models.Identity.Aliases); diff != "" {
		t.Error(diff)
	}
	rates := map[string]float64{"org/llama-3.1:8b": 8000, "7": 12.5}
	for _, c := range []*Config{
		mustLoad(t, file+"models:\n  prefill_rate: {\"org/llama-3.1:8b\": 8000, \"7\": 12.5}\n"),
		mustLoad(t, file, func(s *Source) { s.Environ = []string{"TETHER_MODELS_PREFILL_RATE=org/llama-3.1:8b=8e3, 7=12.5"} }),
	} {
		if diff := cmp.Diff(rates, c.Models.Prefill.PrefillRate); diff != "" {
			t.Error(diff)
		}
		loadsAgain(t, c)
	}
	if c := mustLoad(t, file+"models:\n  aliases:\n"); len(c.Models.Identity.Aliases) != 0 {
		t.Errorf("%+v", c.Models)
	}
}
