package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// build builds a folder as "kubectl kustomize" does.
func build(t testing.TB, dir string) manifests {
	t.Helper()
	found, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := found.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, dir, string(text))
}

// The base has every object of the manifests.
func TestKustomizeBase(t *testing.T) {
	want, got := readManifests(t), build(t, "kubernetes")
	if len(got.services) != len(want.services) || len(got.deployments) != len(want.deployments) || len(got.statefulSets) != len(want.statefulSets) ||
		len(got.budgets) != len(want.budgets) || len(got.policies) != len(want.policies) || len(got.configMaps) != len(want.configMaps) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// With discovery, tether finds the pods of the Service, by its port, with the rights for it and no others.
func TestKustomizeDiscovery(t *testing.T) {
	m := build(t, "kustomize/discovery")
	config := m.configMaps["tether"].Data["config.yaml"]
	dir := t.TempDir()
	for _, key := range []string{"session", "admin-token"} {
		if err := os.WriteFile(filepath.Join(dir, key), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "/run/secrets/tether/", dir+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := check(t, file)
	if len(s.Upstreams) > 0 || !strings.Contains(config, "kubernetes: { service: "+m.services["vllm"].Name+", port: "+m.services["vllm"].Spec.Ports[0].Name+" }") {
		t.Errorf("%+v\n%s", s, config)
	}
	pod := m.deployments["tether"].Spec.Template.Spec
	longer(t, "tether", time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, s.stopping())
	role, binding := m.roles["/tether-discovery"], m.bindings["/tether-discovery"]
	if !*pod.AutomountServiceAccountToken || m.accounts[pod.ServiceAccountName] == nil || binding.Subjects[0].Name != pod.ServiceAccountName || binding.RoleRef.Name != role.Name {
		t.Errorf("account %q, binding %+v", pod.ServiceAccountName, binding)
	}
	if len(role.Rules) != 1 || role.Rules[0].Resources[0] != "endpointslices" || strings.Join(role.Rules[0].Verbs, " ") != "list watch" {
		t.Errorf("%+v", role.Rules)
	}
}

// The hook of vLLM's pods runs the tether of the image with flags that it knows, and ends before the grace period does.
func TestKustomizeScaleIn(t *testing.T) {
	m := build(t, "kustomize/scale-in")
	pod := m.statefulSets["vllm"].Spec.Template.Spec
	c := container(t, pod)
	command := c.Lifecycle.PreStop.Exec.Command
	words := strings.Fields(command[2])
	var wait time.Duration
	for i, w := range words {
		if w == "--wait" {
			wait, _ = time.ParseDuration(words[i+1])
		}
	}
	if wait == 0 || strings.Join(words[:3], " ") != "exec /opt/tether/tether drain" {
		t.Fatalf("%q", command)
	}
	longer(t, "vllm", time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, wait+shutdownTimeout(t, c.Args))
	admin := m.services["tether-admin"]
	if !strings.Contains(command[2], "--admin http://"+admin.Name+":8081 ") || portOf(t, container(t, m.deployments["tether"].Spec.Template.Spec), admin.Spec.Ports[0].TargetPort.StrVal) != 8081 {
		t.Errorf("%q does not ask %+v", command[2], admin.Spec)
	}
	// The command itself accepts the flags: it fails only because nothing listens.
	out, err := run(t, tether, "drain", "vllm-0", "--wait", "1s", "--admin", "http://127.0.0.1:1", "--token-file", write(t, "token"))
	if err == nil || !strings.Contains(out, "127.0.0.1:1") || strings.Contains(out, "unknown flag") {
		t.Errorf("%v, %s", err, out)
	}
	var mounted, volumes []string
	for _, v := range c.VolumeMounts {
		mounted = append(mounted, v.Name)
	}
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, name := range []string{"tether", "tether-token"} {
		if !strings.Contains(strings.Join(mounted, " ")+" ", name+" ") || !strings.Contains(strings.Join(volumes, " ")+" ", name+" ") {
			t.Errorf("%s: mounted %q, volumes %q", name, mounted, volumes)
		}
	}
}
