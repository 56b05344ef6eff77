package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tether/discovery/dns"
	"tether/discovery/kube"
)

func TestDiscovery(t *testing.T) {
	c := mustLoad(t, `discovery:
  - file: upstreams.yaml
  - dns: {name: vllm.default.svc, port: 8000, type: A, resolver: "", interval: 5s, keep: 1m}
    scheme: https
    upstream: {weight: 50, models: [llama], tls: {server_name: vllm.example}, data_parallel_ranks: 2}
  - dns: {name: _http._tcp.vllm.default.svc, type: SRV}
  - kubernetes: {namespace: default, service: vllm, port: http, kubeconfig: "", pod_selector: "app=vllm"}
  - kubernetes: {service: vllm}
`)
	want := []Discovery{
		{File: "upstreams.yaml"},
		{DNS: dns.Config{Name: "vllm.default.svc", Port: 8000, Type: "A", Interval: 5 * time.Second, Keep: time.Minute}, Scheme: "https"},
		{DNS: dns.Config{Name: "_http._tcp.vllm.default.svc", Type: "SRV"}},
		{Kubernetes: kube.Config{Namespace: "default", Service: "vllm", Port: "http", PodSelector: "app=vllm"}},
		{Kubernetes: kube.Config{Service: "vllm"}},
	}
	weight := 50
	want[1].Upstream = Upstream{Weight: &weight, Models: []string{"llama"}, DataParallelRanks: 2}
	want[1].Upstream.TLS.ServerName = "vllm.example"
	if diff := cmp.Diff(want, c.Discovery); diff != "" {
		t.Error(diff)
	}
	var labels []string
	for i := range c.Discovery {
		labels = append(labels, c.Discovery[i].Label())
	}
	if got := strings.Join(labels, " "); got != "file:upstreams.yaml dns:vllm.default.svc/A dns:_http._tcp.vllm.default.svc/SRV kubernetes:default/vllm kubernetes:vllm" {
		t.Error(got)
	}
	loadsAgain(t, c)
}

func TestDiscoveryOfTheEnvironment(t *testing.T) {
	c := mustLoad(t, "", func(s *Source) {
		s.Environ = []string{"TETHER_DISCOVERY=file:/etc/list.yaml, dns:vllm:8000,srv:_http._tcp.vllm,kubernetes:prod/vllm:http,kubernetes:vllm"}
	})
	if diff := cmp.Diff([]Discovery{
		{File: "/etc/list.yaml"},
		{DNS: dns.Config{Name: "vllm", Port: 8000}},
		{DNS: dns.Config{Name: "_http._tcp.vllm", Type: "SRV"}},
		{Kubernetes: kube.Config{Namespace: "prod", Service: "vllm", Port: "http"}},
		{Kubernetes: kube.Config{Service: "vllm"}},
	}, c.Discovery); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"vllm:8000": `TETHER_DISCOVERY: discovery: "vllm:8000", want file:PATH, dns:NAME:PORT, srv:NAME or kubernetes:NAMESPACE/SERVICE:PORT`,
		"dns:vllm":  `TETHER_DISCOVERY: discovery: "dns:vllm", want dns:NAME:PORT`,
	} {
		if _, err := load(t, "upstreams: [{url: \"http://a\"}]", func(s *Source) { s.Environ = []string{"TETHER_DISCOVERY=" + text} }); problemsOf(err) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, problemsOf(err), want)
		}
	}
}

func TestProblemsOfDiscovery(t *testing.T) {
	for text, want := range map[string]string{
		"discovery: [{}]":                                                              "c.yaml:1: discovery[0]: no source, want one of file, dns and kubernetes",
		"discovery: [{scheme: https}]":                                                 "c.yaml:1: discovery[0]: no source, want one of file, dns and kubernetes",
		"discovery: [{file: a, dns: {name: b, port: 1}}]":                              "c.yaml:1: discovery[0]: file and dns, want one of file, dns and kubernetes",
		"upstreams: [{url: \"http://a\"}]\ndiscovery: {file: a}":                       "c.yaml:2: discovery: want a list",
		"discovery: [{files: a}]":                                                      "c.yaml:1: discovery[0].files: unknown key, did you mean file?\nc.yaml:1: discovery[0]: no source, want one of file, dns and kubernetes",
		"discovery: [{dns: {name: a}}]":                                                "c.yaml:1: discovery[0].dns.port: none, and A records have no port: want 1..65535",
		"discovery: [{dns: {name: a, type: MX}}]":                                      `c.yaml:1: discovery[0].dns.type: "MX", want A, AAAA or SRV`,
		"discovery: [{kubernetes: {namespace: a}}]":                                    `c.yaml:1: discovery[0].kubernetes.service: "", want 1..63 of a-z, 0-9 and -`,
		"discovery: [{file: a}, {file: a}]":                                            "c.yaml:1: discovery[1]: file:a is the source of discovery[0] already",
		"discovery: [{file: a, scheme: http}]":                                         "c.yaml:1: discovery[0].file: with scheme or upstream, want these keys in the file",
		"discovery: [{file: a, upstream: {weight: 1}}]":                                "c.yaml:1: discovery[0].file: with scheme or upstream, want these keys in the file",
		"discovery: [{kubernetes: {service: a}, scheme: x}]":                           `c.yaml:1: discovery[0].scheme: "x", want http or https`,
		"discovery: [{kubernetes: {service: a}, upstream: {slot: 1}}]":                 "c.yaml:1: discovery[0].upstream: has name, url, slot or drain, which differ from server to server: leave them out",
		"discovery: [{kubernetes: {service: a}, upstream: {weight: 101}}]":             "c.yaml:1: discovery[0].upstream.weight: 101, want 0..100",
		"discovery: [{kubernetes: {service: a}, upstream: {tls: {server_name: b}}}]":   `c.yaml:1: discovery[0].upstream.tls: for "http://", want an https URL with it`,
		"discovery: [{kubernetes: {service: a}, upstream: {data_parallel_ranks: -1}}]": "c.yaml:1: discovery[0].upstream.data_parallel_ranks: -1, want 0..4096",
		"discovery: [{kubernetes: {service: a}, upstream: {models: [\"\"]}}]":          `c.yaml:1: discovery[0].upstream.models[0]: "", want a name of 1..512 bytes without control characters`,
		"discovery: [{kubernetes: {service: a}, upstream: {api_key_override: true}}]":  "c.yaml:1: discovery[0].upstream.api_key_override: true, and there is no key to send: want api_key_file as well",
	} {
		if _, err := load(t, text); problemsOf(err) != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, problemsOf(err), want)
		}
	}
}

func TestReadList(t *testing.T) {
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(key, []byte("sk"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(text string) ([]Upstream, []string, string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, named, err := ReadList(file)
		return list, named, problemsOf(err)
	}
	list, _, problem := read(`[{"url": "http://a", "weight": 5, "api_key_file": "` + key + `"}, {"url": "http://b", "slot": null}]`)
	if problem != "c.yaml:1: upstreams[1].slot: no value" {
		t.Error(list, problem)
	}
	list, named, problem := read("- {url: \"http://a\", api_key_file: " + key + "}\n- url: http://b\n")
	if problem != "" || len(list) != 2 || list[0].APIKey != "sk" || cmp.Diff(named, []string{key}) != "" {
		t.Error(list, named, problem)
	}
	if list, _, problem = read("[]"); problem != "" || len(list) != 0 {
		t.Error(list, problem)
	}
	for text, want := range map[string]string{
		"":                            "c.yaml: no list in it, want a list of upstreams, or [] for none",
		"# later\n":                   "c.yaml: no list in it, want a list of upstreams, or [] for none",
		"upstreams: []":               "c.yaml:1: upstreams: want a list",
		"- {url: \"http://a\"":        "c.yaml: not YAML: [1:3] could not find flow mapping end token '}'",
		"- url: http://a\n- url: htt": `c.yaml:2: upstreams[1].url: "htt": no scheme, want http://HOST:PORT, https://HOST:PORT or http+unix:///PATH`,
		"- url: http://a\n  wait: 1":  "c.yaml:2: upstreams[0].wait: unknown key",
		"- {url: \"http://a\"}\n- {url: \"http://a\"}": `c.yaml:2: upstreams[1].name: "a:80" is the name of upstreams[0] already: one entry for each server, or give them names`,
	} {
		if _, _, problem := read(text); problem != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, problem, want)
		}
	}
}
