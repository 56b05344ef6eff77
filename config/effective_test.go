package config

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The output of check is a configuration itself, and the same one.
func TestEffectiveIsAConfiguration(t *testing.T) {
	loadsAgain(t, mustLoad(t, `{upstreams: [{url: "http://vllm-3:1", data_parallel_ranks: 2}, {url: "http://vllm-1:1", weight: 5, data_parallel_ranks: 2}], proxy: {max_body_total: 123MiB}, session: {return: home}}`))
}

// FuzzEffective: every text may be a value or a name, even if YAML would read it as something else.
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

// quoted returns s in quotes, as YAML reads it.
func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// loadsAgain fails if the output of check for c does not load as c.
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
	first.File, again.File = "", ""
	first.Overridden = nil
	if diff := cmp.Diff(&first, again, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s\n%s", diff, shown)
	}
}
