package kube

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for want, cfg := range map[string]Config{
		"": {Service: "vllm"},
		`service: "", want 1..63 of a-z, 0-9 and -`:                                                  {},
		`service: "Vllm", want 1..63 of a-z, 0-9 and -`:                                              {Service: "Vllm"},
		`service: "a/b", want 1..63 of a-z, 0-9 and -`:                                               {Service: "a/b"},
		`namespace: "-", want 1..63 of a-z, 0-9 and -`:                                               {Service: "a", Namespace: "-"},
		`port: "0", want the name of a port or 1..65535`:                                             {Service: "a", Port: "0"},
		`port: "a b", want the name of a port or 1..65535`:                                           {Service: "a", Port: "a b"},
		`pod_selector: has 1025 bytes, want at most 1024`:                                            {Service: "a", PodSelector: strings.Repeat("x", 1025)},
		`kubeconfig: "` + none + `" is not there, want a kubeconfig: write it, or leave the key out`: {Service: "a", Kubeconfig: none},
	} {
		var problems []string
		cfg.Validate(func(key, problem string) { problems = append(problems, key+": "+problem) })
		if got := strings.Join(problems, "\n"); got != want {
			t.Errorf("%+v\ngot  %s\nwant %s", cfg, got, want)
		}
	}
	Config{Service: "vllm-2", Namespace: "a", Port: "65535", PodSelector: "app=vllm,tier in (a, b)"}.Validate(func(key, problem string) { t.Error(key, problem) })
}
