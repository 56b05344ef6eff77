package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what is checked of a Grafana dashboard.
type dashboard struct {
	UID, Title string
	Panels     []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct{ Expr, LegendFormat string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
}

func readDashboard(t testing.TB) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana/tether.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled is a query with values in place of Grafana's variables.
func filled(query string) string {
	query = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*", "$upstream", ".*", "$model", ".*").Replace(query)
	return query
}

// dashboardQueries are the queries of the panels and of the annotations.
func dashboardQueries(t testing.TB) (all queries) {
	d := readDashboard(t)
	add := func(where, query string) { all = append(all, struct{ where, query string }{where, filled(query)}) }
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			add(p.Title, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		add(a.Name, a.Expr)
	}
	return all
}

// Each panel answers one question, which is its title, by metrics and labels that tether has.
func TestDashboard(t *testing.T) {
	d, metrics := readDashboard(t), documented(t)
	titles, ids, panels := map[string]bool{}, map[int]bool{}, 0
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: the id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		if titles[p.Title] || !strings.HasSuffix(p.Title, "?") || strings.Count(p.Title, "?") != 1 {
			t.Errorf("%q is no question of its own", p.Title)
		}
		titles[p.Title] = true
		if p.Type == "row" {
			continue
		}
		panels++
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s: no description, or no query", p.Title)
		}
		for _, target := range p.Targets {
			labels := checkQuery(t, metrics, p.Title, filled(target.Expr))
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s: the legend shows the label %s, which the query has not", p.Title, l[1])
				}
			}
		}
	}
	if panels < 37 {
		t.Errorf("%d panels", panels)
	}
	for _, a := range d.Annotations.List {
		checkQuery(t, metrics, a.Name, filled(a.Expr))
	}
}

// Panels do not overlap, and none is wider than the page.
func TestDashboardLayout(t *testing.T) {
	taken := map[string]string{}
	for _, p := range readDashboard(t).Panels {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				at := fmt.Sprint(x, ",", y)
				if taken[at] != "" {
					t.Errorf("%q and %q overlap", taken[at], p.Title)
				}
				taken[at] = p.Title
			}
		}
	}
}

// The variables that queries use are defined, by labels that tether has.
func TestDashboardVariables(t *testing.T) {
	d, metrics := readDashboard(t), documented(t)
	defined := map[string]bool{"__rate_interval": true}
	values := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	for _, v := range d.Templating.List {
		defined[v.Name] = true
		if v.Type != "query" {
			continue
		}
		m := values.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Errorf("%s: %s", v.Name, v.Definition)
			continue
		}
		if labels := checkQuery(t, metrics, v.Name, filled(m[1])); !slices.Contains(labels, m[2]) {
			t.Errorf("%s: no label %s", v.Name, m[2])
		}
	}
	text, err := os.ReadFile("grafana/tether.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if !defined[v[1]] && v[1] != "__all" {
			t.Errorf("the variable %s is not defined", v[1])
		}
	}
}
