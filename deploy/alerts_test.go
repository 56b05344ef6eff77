package deploy

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// alert is an alert of prometheus/tether.rules.yaml.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readAlerts(t testing.TB) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	readYAML(t, "prometheus/tether.rules.yaml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func readYAML(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func alertQueries(t testing.TB) (all queries) {
	for _, a := range readAlerts(t) {
		all = append(all, struct{ where, query string }{a.Alert, a.Expr})
	}
	return all
}

// Each alert is about metrics and labels that tether has, and says what happens.
func TestAlerts(t *testing.T) {
	metrics := documented(t)
	shown := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, a := range readAlerts(t) {
		labels := checkQuery(t, metrics, a.Alert, a.Expr)
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || !slices.Contains([]string{"warning", "critical"}, a.Labels["severity"]) {
			t.Errorf("%s: %v, %v", a.Alert, a.Labels, a.Annotations)
		}
		for _, text := range a.Annotations {
			for _, l := range shown.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s shows the label %s, which its query has not", a.Alert, l[1])
				}
			}
		}
	}
}

// Every alert has a test in which it fires, and one in which it is quiet.
func TestAlertsHaveTests(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				AlertName string `json:"alertname"`
				ExpAlerts []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	readYAML(t, "prometheus/tether.rules.test.yaml", &file)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, one := range file.Tests {
		for _, r := range one.AlertRuleTest {
			if len(r.ExpAlerts) > 0 {
				fires[r.AlertName] = true
			} else {
				quiet[r.AlertName] = true
			}
		}
	}
	for _, a := range readAlerts(t) {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s: tested to fire %v, to be quiet %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
}

// promtool accepts the alerts and their tests.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool in the path: the unit tests of the alerts do not run")
	}
	for _, args := range [][]string{{"check", "rules", "tether.rules.yaml"}, {"test", "rules", "tether.rules.test.yaml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
