package prefill

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	many := map[string]float64{}
	for n := range MaxModels + 1 {
		many[fmt.Sprint(n)] = 100
	}
	problemOf := func(name string) string {
		if name == "" {
			return "an empty name"
		}
		return ""
	}
	for _, c := range []struct {
		rates map[string]float64
		want  string
	}{
		{nil, ""},
		{map[string]float64{"a": 10, "b": 10_000_000, "c": 8_000.5}, ""},
		{map[string]float64{"a": 9, "b": -1, "": 100}, "prefill_rate: an empty name\nprefill_rate.a: 9, want 10..10000000 tokens a second\nprefill_rate.b: -1, want 10..10000000 tokens a second\n"},
		{map[string]float64{"a": math.NaN(), "b": math.Inf(1)}, "prefill_rate.a: NaN, want 10..10000000 tokens a second\nprefill_rate.b: +Inf, want 10..10000000 tokens a second\n"},
		{many, "prefill_rate: 201 models, want at most 200\n"},
	} {
		var got strings.Builder
		cfg := Config{PrefillRate: c.rates}
		cfg.Validate(problemOf, func(key, problem string) { fmt.Fprintf(&got, "%s: %s\n", key, problem) })
		if got.String() != c.want {
			t.Errorf("%v:\n%swant\n%s", c.rates, got.String(), c.want)
		}
	}
}
