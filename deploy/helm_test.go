package deploy

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// render renders the chart as "helm template prod deploy/helm/tether -n ns -f file" does, the schema of the values included.
func render(t testing.TB, values map[string]any) (string, error) {
	t.Helper()
	chart, err := loader.Load("helm/tether")
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "prod", Namespace: "ns", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for name, file := range files {
		if strings.HasSuffix(name, ".yaml") {
			text.WriteString(file + "\n---\n")
		}
	}
	return text.String(), nil
}

func valuesOf(t testing.TB, file string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValuesFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// The files of values for each situation render to valid objects that agree with each other and with tether.
func TestChart(t *testing.T) {
	files, err := filepath.Glob("helm/values/*.yaml")
	if err != nil || len(files) != 5 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := render(t, valuesOf(t, file))
			if err != nil {
				t.Fatal(err)
			}
			m := decode(t, file, text)
			deployment := m.deployments["prod"].Spec
			pod := deployment.Template.Spec
			c := container(t, pod)
			testChartConfig(t, m)
			for _, selector := range []*meta.LabelSelector{deployment.Selector, pod.TopologySpreadConstraints[0].LabelSelector, {MatchLabels: m.services["prod"].Spec.Selector}} {
				s, err := meta.LabelSelectorAsSelector(selector)
				if err != nil || !s.Matches(labels.Set(deployment.Template.Labels)) {
					t.Errorf("%v does not select %v, %v", selector, deployment.Template.Labels, err)
				}
			}
			portOf(t, c, m.services["prod"].Spec.Ports[0].TargetPort.StrVal)
			if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
				t.Errorf("probes at %s and %s", c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path)
			}
			if *deployment.Replicas > 1 && m.budgets["prod"] == nil {
				t.Error("no budget")
			}
			testStore(t, m, strings.Contains(filepath.Base(file), "store"))
			testRights(t, m, strings.Contains(m.configMaps["prod"].Data["config.yaml"], "kubernetes:"))
			if strings.Contains(read(t, file), "serviceMonitor") {
				testMonitor(t, m)
			}
		})
	}
}

// testChartConfig checks the configuration with tether itself, and that the grace period is longer than tether may take.
func testChartConfig(t *testing.T, m manifests) {
	t.Helper()
	s, dir := chartConfig(t, m)
	if s.Admin.Listen != "0.0.0.0:8081" || s.Admin.TokenFile != dir+"/tether/admin-token" || s.Session.SecretFile != dir+"/tether/session" {
		t.Errorf("%+v", s)
	}
	pod := m.deployments["prod"].Spec.Template.Spec
	longer(t, "tether", time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, s.stopping())
}

// chartConfig returns the configuration as tether reads it with the pod's memory limit and the Secrets that the pod mounts, and the folder
// that stands for /run/secrets.
func chartConfig(t *testing.T, m manifests) (s settings, dir string) {
	t.Helper()
	dir = t.TempDir()
	c := container(t, m.deployments["prod"].Spec.Template.Spec)
	for _, v := range c.VolumeMounts {
		name, is := strings.CutPrefix(v.MountPath, "/run/secrets/")
		if !is {
			continue
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for key, text := range secrets(name) {
			if err := os.WriteFile(filepath.Join(dir, name, key), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := write(t, strings.ReplaceAll(m.configMaps["prod"].Data["config.yaml"], "/run/secrets/", dir+"/"))
	return check(t, file, fmt.Sprintf("GOMEMLIMIT=%d", c.Resources.Limits.Memory().Value()/10*9)), dir
}

// secrets returns what README and the files of values put into a Secret.
func secrets(name string) map[string][]byte {
	if name == "tether" {
		return map[string][]byte{"session": []byte("secret"), "admin-token": []byte("secret")}
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return map[string][]byte{
		"password": []byte("secret"),
		"ca.crt":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
}

// testStore checks that replicas with a store have its password and CA from a Secret, leave placement to tether, and name their pods; and that
// replicas without one agree by homes.
func testStore(t *testing.T, m manifests, wanted bool) {
	t.Helper()
	s, dir := chartConfig(t, m)
	deployment := m.deployments["prod"].Spec
	env := container(t, deployment.Template.Spec).Env
	if !wanted {
		if s.Session.Store.URL != "" || len(env) > 0 {
			t.Errorf("store %+v, variables %+v", s.Session.Store, env)
		}
		if *deployment.Replicas > 1 && (s.Session.Placement != "home" || s.Session.Return != "home") {
			t.Errorf("placement %s, return %s", s.Session.Placement, s.Session.Return)
		}
		return
	}
	store := s.Session.Store
	if *deployment.Replicas != 3 || !strings.HasPrefix(store.URL, "rediss://") || store.PasswordFile != dir+"/tether-store/password" || store.TLS.CA != dir+"/tether-store/ca.crt" {
		t.Errorf("%d replicas, %+v", *deployment.Replicas, store)
	}
	if s.Session.Placement != "auto" || s.Session.Return != "stay" {
		t.Errorf("placement %s, return %s, want the defaults", s.Session.Placement, s.Session.Return)
	}
	if len(env) != 2 || env[0].ValueFrom.FieldRef.FieldPath != "metadata.name" || env[1].Name != "TETHER_SESSION_STORE_ADVERTISE" || env[1].Value != "$("+env[0].Name+"):8081" {
		t.Errorf("%+v", env)
	}
}

// testRights checks that the pod has a token only if tether needs it, and that the role has no other rights.
func testRights(t *testing.T, m manifests, wanted bool) {
	t.Helper()
	pod := m.deployments["prod"].Spec.Template.Spec
	if *pod.AutomountServiceAccountToken != wanted || (pod.ServiceAccountName != "") != wanted || len(m.accounts) > 0 != wanted {
		t.Errorf("token %v, account %q, %d accounts; wanted: %v", *pod.AutomountServiceAccountToken, pod.ServiceAccountName, len(m.accounts), wanted)
	}
	if !wanted {
		return
	}
	role, binding := m.roles["ns/prod-discovery"], m.bindings["ns/prod-discovery"]
	if role == nil || binding == nil || binding.RoleRef.Name != role.Name || len(binding.Subjects) != 1 || binding.Subjects[0].Name != pod.ServiceAccountName ||
		binding.Subjects[0].Namespace != "ns" || m.accounts[pod.ServiceAccountName] == nil {
		t.Fatalf("role %+v, binding %+v", role, binding)
	}
	annotations := strings.Contains(m.configMaps["prod"].Data["config.yaml"], "pod_selector: app")
	var resources []string
	for _, rule := range role.Rules {
		resources = append(resources, rule.Resources...)
		if !slices.Equal(rule.Verbs, []string{"list", "watch"}) {
			t.Errorf("verbs %q", rule.Verbs)
		}
	}
	want := []string{"endpointslices"}
	if annotations {
		want = append(want, "pods")
	}
	if !slices.Equal(resources, want) {
		t.Errorf("rights for %q, want %q", resources, want)
	}
}

// testMonitor checks that Prometheus finds the admin port.
func testMonitor(t *testing.T, m manifests) {
	t.Helper()
	monitor, service := m.monitors["prod"], m.services["prod-admin"]
	if monitor == nil || service == nil || service.Spec.ClusterIP != core.ClusterIPNone {
		t.Fatalf("monitor %+v, service %+v", monitor, service)
	}
	s, err := meta.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil || !s.Matches(labels.Set(service.Labels)) || s.Matches(labels.Set(m.services["prod"].Labels)) {
		t.Errorf("%v, %v", monitor.Spec.Selector, err)
	}
	if len(monitor.Spec.Endpoints) != 1 || monitor.Spec.Endpoints[0].Port != service.Spec.Ports[0].Name || monitor.Spec.Endpoints[0].Path != "/metrics" {
		t.Errorf("%+v", monitor.Spec.Endpoints)
	}
}

// The schema refuses values that would render to nonsense, and keys that do not exist.
func TestChartValues(t *testing.T) {
	upstreams := map[string]any{"upstreams": []any{map[string]any{"url": "http://a"}}}
	withStore := func(store map[string]any) map[string]any {
		return map[string]any{"upstreams": upstreams["upstreams"], "session": map[string]any{"store": store}}
	}
	for _, url := range []string{"", "redis://valkey", "rediss://user@a:1,b:2/3", "redis-sentinel://a/main"} {
		if _, err := render(t, map[string]any{"config": withStore(map[string]any{"url": url})}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for want, values := range map[string]map[string]any{
		"config":                    {},
		"replicas":                  {"config": upstreams, "replicas": 0},
		"replica":                   {"config": upstreams, "replica": 2},
		"pullPolicy":                {"config": upstreams, "image": map[string]any{"pullPolicy": "Sometimes"}},
		"existingSecret":            {"config": upstreams, "existingSecret": ""},
		"interval":                  {"config": upstreams, "serviceMonitor": map[string]any{"interval": "often"}},
		"secretMounts":              {"config": upstreams, "secretMounts": []any{"../etc"}},
		"admin":                     {"config": map[string]any{"upstreams": upstreams["upstreams"], "admin": map[string]any{"listen": ":1"}}},
		"session/store/url":         {"config": withStore(map[string]any{"url": "redis://:password@valkey"})},
		"session/store":             {"config": withStore(map[string]any{"url": "redis://valkey", "advertise": "a"})},
		"config/upstreams/0":        {"config": map[string]any{"upstreams": []any{map[string]any{"name": "a"}}}},
		"terminationGracePeriodSec": {"config": upstreams, "terminationGracePeriodSeconds": "long"},
	} {
		if _, err := render(t, values); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), ".", "/"), want) {
			t.Errorf("%v: %v, want something about %s", values, err, want)
		}
	}
	text, err := render(t, map[string]any{
		"config": upstreams, "secretMounts": []any{"vllm-keys"}, "nameOverride": "front", "podLabels": map[string]any{"team": "a"},
		"tolerations": []any{map[string]any{"key": "x", "operator": "Exists"}}, "imagePullSecrets": []any{map[string]any{"name": "pull"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := decode(t, "values", text)
	d := m.deployments["front"]
	if d == nil || d.Spec.Template.Labels["team"] != "a" || d.Spec.Template.Spec.Tolerations[0].Key != "x" || d.Spec.Template.Spec.ImagePullSecrets[0].Name != "pull" {
		t.Fatalf("%+v", d)
	}
	if mounts := container(t, d.Spec.Template.Spec).VolumeMounts; mounts[2].MountPath != "/run/secrets/vllm-keys" {
		t.Errorf("%+v", mounts)
	}
}
