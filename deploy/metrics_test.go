package deploy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// documented has the labels of each metric in docs/METRICS.md, which is generated from the definitions in the program.
func documented(t testing.TB) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string][]string{
		"process_resident_memory_bytes": nil, "process_cpu_seconds_total": nil, // of every Go program
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(tether_\\w+)` \\| (\\w+) \\| (.*?) \\| .* \\|$").FindAllStringSubmatch(string(text), -1) {
		var labels []string
		for _, l := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, l[1])
		}
		metrics[row[1]] = labels
		if row[2] == "histogram" {
			metrics[row[1]+"_bucket"], metrics[row[1]+"_sum"], metrics[row[1]+"_count"] = append([]string{"le"}, labels...), labels, labels
		}
	}
	if len(metrics) < 60 {
		t.Fatalf("%d metrics in docs/METRICS.md", len(metrics))
	}
	return metrics
}

// target has the labels that Prometheus gives every series.
var target = []string{"job", "instance"}

// checkQuery checks that a query parses, and that its metrics and their labels exist. It returns the labels of the metrics.
func checkQuery(t testing.TB, metrics map[string][]string, where, query string) (labels []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v: %s", where, err, query)
		return nil
	}
	selectors := 0
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		v, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		selectors++
		known, exists := metrics[v.Name]
		if !exists {
			t.Errorf("%s: tether has no metric %s", where, v.Name)
		}
		labels = append(append(labels, known...), target...)
		for _, m := range v.LabelMatchers {
			if m.Name != "__name__" && !slices.Contains(known, m.Name) && !slices.Contains(target, m.Name) {
				t.Errorf("%s: %s has no label %s", where, v.Name, m.Name)
			}
		}
		return nil
	})
	if selectors == 0 {
		t.Errorf("%s: a query without a metric: %s", where, query)
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, is := node.(*parser.AggregateExpr); is {
			for _, l := range a.Grouping {
				if !slices.Contains(labels, l) {
					t.Errorf("%s: no metric of the query has the label %s", where, l)
				}
			}
		}
		return nil
	})
	return labels
}

// The queries of docs/METRICS.md are about metrics and labels that exist.
func TestDocumentedQueries(t *testing.T) {
	metrics := documented(t)
	text, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```\n(.*?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d queries", len(blocks))
	}
	for _, b := range blocks {
		checkQuery(t, metrics, "docs/METRICS.md", b[1])
	}
}

// demo runs a tether with simulated servers and conversations, and returns the address of its admin listener.
func demo(t *testing.T) (admin string) {
	t.Helper()
	clients := freeAddress(t)
	admin = freeAddress(t)
	cmd := exec.Command(tether, "demo", "--listen", clients, "--admin-listen", admin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	return admin
}

// given has the addresses that freeAddress has looked at.
var given sync.Map

// freeAddress returns an address of this host on which no process listens, another one at each call. Its port is below those that the kernel gives
// to connections, so it stays free until the test listens on it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(1_900))
		if _, twice := given.LoadOrStore(addr, true); twice {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
}

// patience bounds every wait of these tests.
const patience = time.Minute

// awaitPage returns the page at a URL once it has the text.
func awaitPage(t *testing.T, url, text string) string {
	t.Helper()
	page := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		res, err := http.Get(url)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if page = string(b); err == nil && res.StatusCode == 200 && strings.Contains(page, text) {
			return page
		}
	}
	t.Fatalf("%s never had %s:\n%.3000s", url, text, page)
	return ""
}

// The binary exports the metrics and labels that docs/METRICS.md names, and no others. The dashboard and the alerts are checked against
// the same table.
func TestExportedMetrics(t *testing.T) {
	metrics := documented(t)
	page := awaitPage(t, "http://"+demo(t)+"/metrics", `tether_prompt_tokens_total{fate="hit"`)
	series := regexp.MustCompile(`^(tether_\w+)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	seen := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(page)); lines.Scan(); {
		m := series.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		var got []string
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			got = append(got, l[1])
		}
		want := slices.Clone(metrics[m[1]])
		slices.Sort(want)
		slices.Sort(got)
		if _, exists := metrics[m[1]]; !exists || !slices.Equal(got, want) {
			t.Errorf("%s has the labels %v, docs/METRICS.md says %v", m[1], got, want)
		}
		seen[m[1]] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d metrics are exported: the demo shows too little", len(seen))
	}
}

// queries are those of a dashboard, by where they are.
type queries []struct{ where, query string }

// A real Prometheus that scrapes a real tether can answer every query of the dashboard, and most have an answer.
func TestPrometheusAnswers(t *testing.T) {
	server, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus in the path: its queries are only parsed")
	}
	admin, listen, dir := demo(t), freeAddress(t), t.TempDir()
	config := fmt.Sprintf("global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: tether, static_configs: [{ targets: [%q] }] }]\n", admin)
	if err := os.WriteFile(dir+"/prometheus.yml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(server, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data", "--web.listen-address="+listen)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	awaitPage(t, "http://"+admin+"/metrics", `tether_prompt_tokens_total{fate="moved"`)
	awaitPage(t, "http://"+listen+"/api/v1/query?query=rate(tether_prompt_tokens_total%7Bfate%3D%22moved%22%7D%5B10s%5D)", `"upstream"`)
	answered := 0
	all := append(dashboardQueries(t), alertQueries(t)...)
	for _, q := range all {
		text := query(t, listen, q.where, q.query)
		if !strings.Contains(text, `"result":[]`) {
			answered++
		} else {
			t.Logf("no answer: %s", q.where)
		}
	}
	t.Logf("%d of %d queries have an answer", answered, len(all))
	if answered < len(all)/2 {
		t.Errorf("%d of %d queries have an answer", answered, len(all))
	}
}

// query asks Prometheus.
func query(t *testing.T, listen, where, q string) string {
	t.Helper()
	req, _ := http.NewRequest("GET", "http://"+listen+"/api/v1/query", nil)
	form := req.URL.Query()
	form.Set("query", strings.ReplaceAll(q, "[5m]", "[10s]"))
	req.URL.RawQuery = form.Encode()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("%s: %v, %s", where, err, text)
	}
	return string(text)
}
