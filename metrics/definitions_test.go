package metrics

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"tether/failure"
	"tether/session"
	"tether/session/fates"
	"tether/session/pins"
)

var update = flag.Bool("update", false, "write docs/METRICS.md")

// docs/METRICS.md agrees with the definitions. Write it by: go test ./metrics -run Documentation -update
func TestDocumentation(t *testing.T) {
	const file = "../docs/METRICS.md"
	var b strings.Builder
	b.WriteString("# Metrics\n\nThe admin listener shows these metrics at `/metrics`, beside the `go_*` and `process_*` metrics of every Go program.\n" +
		"This file is generated: `go test ./metrics -run Documentation -update`.\n\n" + questions + "## All metrics\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, d := range definitions {
		labels := ""
		if len(d.labels) > 0 {
			labels = "`" + strings.Join(d.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, labels, d.help)
	}
	b.WriteString("\n## Label values\n\n- `outcome`: " + outcomes() + "\n- `result` of attempts: " + results() +
		"\n- `result` of spans: exported, failed, dropped\n- `result` of reloads: ok, failed\n- `cause`: " + strings.Join(pins.Causes[:], ", ") + "\n- `fate`: " + strings.Join(fates.Words[:], ", ") + "\n- `reason` of `tether_prompt_tokens_total`: " + strings.Join(fates.Reasons[1:], ", ") +
		"\n- `model`: at most " + fmt.Sprint(maxModels) + "; further models count as `other`\n")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != b.String() {
		t.Errorf("%s differs from the definitions: write it with -update", file)
	}
}

func outcomes() string {
	var words []string
	for o := session.None; o <= session.Spilled; o++ {
		words = append(words, o.String())
	}
	return strings.Join(words, ", ")
}

// questions are those that operators ask first, each with the query that answers it.
const questions = `## Questions and queries

Do turns find their cache? This is the share of prompt tokens that the servers had cached, for pinned and other requests:

` + "```" + `
sum by (outcome) (rate(tether_cached_prompt_tokens_total[5m])) / sum by (outcome) (rate(tether_reported_prompt_tokens_total[5m]))
` + "```" + `

Why were prompt tokens not found in a cache? [AFFINITY.md](AFFINITY.md#why-a-cache-was-missed) says how tether knows.

` + "```" + `
sum by (fate, reason) (rate(tether_prompt_tokens_total{fate!~"hit|new"}[5m])) / on () group_left () sum(rate(tether_prompt_tokens_total[5m]))
` + "```" + `

What is affinity worth? Compare the time to first byte of pinned requests with that of new ones:

` + "```" + `
histogram_quantile(0.5, sum by (outcome, le) (rate(tether_time_to_first_byte_seconds_bucket[5m])))
` + "```" + `

Do the servers keep what the next turns need? The result is 1 or above if they do; see [overrun caches](OPERATIONS.md#caches-that-are-overrun).

` + "```" + `
sum by (upstream) (rate(tether_prompt_tokens_found_cached_total[5m])) / sum by (upstream) (rate(tether_prompt_tokens_expected_cached_total[5m]))
` + "```" + `

Do too many conversations move? A conversation also moves if it continues a response that another server made.

` + "```" + `
sum(rate(tether_requests_total{outcome="moved"}[5m])) / sum(rate(tether_requests_total[5m]))
` + "```" + `

Which server causes trouble?

` + "```" + `
sum by (upstream, result) (rate(tether_attempts_total{result!="answered"}[5m]))
` + "```" + `

Do all replicas place sessions alike? They do if the result has one line:

` + "```" + `
count by (digest) (tether_ring_info)
` + "```" + `

`

func results() string {
	var words []string
	for k := range failure.Kind(failure.Count) {
		words = append(words, k.Word())
	}
	return strings.Join(words, ", ")
}
