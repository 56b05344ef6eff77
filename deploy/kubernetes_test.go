package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// kubernetesConfig returns the configuration of the ConfigMap as tether reads it in a container with the memory limit of
// the manifest, and with its secrets.
func kubernetesConfig(t testing.TB, m manifests) settings {
	t.Helper()
	dir := t.TempDir()
	text := m.configMaps["tether"].Data["config.yaml"]
	pod := m.deployments["tether"].Spec.Template.Spec
	c := container(t, pod)
	for _, v := range c.VolumeMounts {
		if v.Name == "secret" {
			text = strings.ReplaceAll(text, v.MountPath+"/", dir+"/")
		}
	}
	for _, key := range []string{"session", "admin-token"} {
		if err := os.WriteFile(filepath.Join(dir, key), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	memory := c.Resources.Limits.Memory().Value() / 10 * 9
	s := check(t, file, fmt.Sprintf("GOMEMLIMIT=%d", memory))
	if share := memory / 4 >> 20; share != 460 {
		t.Errorf("25 %% for bodies are %d MiB, but the manifest says 460", share)
	}
	if s.Session.SecretFile != dir+"/session" || s.Admin.TokenFile != dir+"/admin-token" {
		t.Errorf("tether reads its secrets from %s and %s", s.Session.SecretFile, s.Admin.TokenFile)
	}
	return s
}

// tether's upstreams are the pods of the StatefulSet, with their names. Each has the slot of its number.
func TestUpstreamsArePods(t *testing.T) {
	m := readManifests(t)
	s := kubernetesConfig(t, m)
	set := m.statefulSets["vllm"]
	service := m.services[set.Spec.ServiceName]
	if service == nil || service.Spec.ClusterIP != core.ClusterIPNone || !service.Spec.PublishNotReadyAddresses {
		t.Fatalf("the pods have no stable names: %+v", service)
	}
	port := portOf(t, container(t, set.Spec.Template.Spec), "http")
	if len(s.Upstreams) != int(*set.Spec.Replicas) {
		t.Errorf("%d upstreams and %d replicas", len(s.Upstreams), *set.Spec.Replicas)
	}
	for i, u := range s.Upstreams {
		pod := fmt.Sprintf("%s-%d", set.Name, i)
		if want := fmt.Sprintf("http://%s.%s:%d", pod, service.Name, port); u.Name != pod || u.URL != want || u.Slot != i {
			t.Errorf("%+v, want %s, %s", u, pod, want)
		}
	}
}

// Pods have enough time to stop, and no probe ends a pod that is only busy or loads its model.
func TestGraceAndProbes(t *testing.T) {
	m := readManifests(t)
	s := kubernetesConfig(t, m)
	seconds := func(n *int64) time.Duration { return time.Duration(*n) * time.Second }
	probe := func(c *core.Container, p *core.Probe, path, port string) {
		t.Helper()
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || p.HTTPGet.Port != intstr.FromString(port) {
			t.Errorf("%s: a probe is %+v, want %s at %s", c.Name, p, path, port)
		}
		portOf(t, c, port)
	}
	// before returns how long a probe must fail until it counts.
	before := func(p *core.Probe) time.Duration {
		return time.Duration(p.PeriodSeconds*p.FailureThreshold) * time.Second
	}
	pod := m.deployments["tether"].Spec.Template.Spec
	proxy := container(t, pod)
	longer(t, "tether", seconds(pod.TerminationGracePeriodSeconds), s.stopping())
	probe(proxy, proxy.LivenessProbe, "/healthz", "admin")
	probe(proxy, proxy.ReadinessProbe, "/readyz", "admin")
	if before(proxy.ReadinessProbe) >= time.Duration(s.Proxy.ShutdownDelay) {
		t.Errorf("unready after %v: too late for a delay of %v", before(proxy.ReadinessProbe), time.Duration(s.Proxy.ShutdownDelay))
	}
	for name, listen := range map[string]string{"http": s.Listen, "admin": s.Admin.Listen} {
		if !strings.HasSuffix(listen, fmt.Sprintf(":%d", portOf(t, proxy, name))) || strings.HasPrefix(listen, "127.") {
			t.Errorf("port %s differs from the address of tether: %s", name, listen)
		}
	}
	pod = m.statefulSets["vllm"].Spec.Template.Spec
	vllm := container(t, pod)
	longer(t, "vllm", seconds(pod.TerminationGracePeriodSeconds), shutdownTimeout(t, vllm.Args))
	for _, p := range []*core.Probe{vllm.StartupProbe, vllm.ReadinessProbe, vllm.LivenessProbe} {
		probe(vllm, p, "/health", "http")
	}
	if before(vllm.StartupProbe) < 30*time.Minute || before(vllm.LivenessProbe) < 5*time.Minute {
		t.Errorf("killed after %v of loading or %v of silence", before(vllm.StartupProbe), before(vllm.LivenessProbe))
	}
	if vllm.Lifecycle != nil || proxy.Lifecycle != nil {
		t.Error("a preStop hook uses up a part of the grace period, which does not include it")
	}
}

// Every selector matches pods that exist, and every named port and volume exists in these pods.
func TestReferences(t *testing.T) {
	m := readManifests(t)
	proxy, vllm := m.deployments["tether"].Spec, m.statefulSets["vllm"].Spec
	pods := map[string]core.PodTemplateSpec{"tether": proxy.Template, "vllm": vllm.Template}
	selects := func(what string, selector *meta.LabelSelector, pod string) {
		t.Helper()
		s, err := meta.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range pods {
			if got := s.Matches(labels.Set(p.Labels)); got != (name == pod) {
				t.Errorf("%s selects pods of %s: %v", what, name, got)
			}
		}
	}
	selects("the Deployment", proxy.Selector, "tether")
	selects("the StatefulSet", vllm.Selector, "vllm")
	selects("spreading", proxy.Template.Spec.TopologySpreadConstraints[0].LabelSelector, "tether")
	for name := range pods {
		service := m.services[name].Spec
		selects("the Service "+name, &meta.LabelSelector{MatchLabels: service.Selector}, name)
		for _, p := range service.Ports {
			if number := portOf(t, container(t, pods[name].Spec), p.TargetPort.StrVal); number != p.Port {
				t.Errorf("the Service %s has port %d for %d", name, p.Port, number)
			}
		}
		selects("the budget "+name, m.budgets[name].Spec.Selector, name)
		testVolumes(t, name, pods[name].Spec, m)
	}
	guard := m.policies["vllm"].Spec
	selects("the policy", &guard.PodSelector, "vllm")
	if len(guard.Ingress) != 1 || len(guard.Ingress[0].From) != 1 || len(guard.Ingress[0].Ports) != 1 {
		t.Fatalf("the policy lets in more than tether: %+v", guard.Ingress)
	}
	from := guard.Ingress[0].From[0]
	selects("the policy's rule", from.PodSelector, "tether")
	portOf(t, container(t, pods["vllm"].Spec), guard.Ingress[0].Ports[0].Port.StrVal)
	if from.NamespaceSelector != nil || from.IPBlock != nil {
		t.Errorf("the policy lets in %+v", from)
	}
}

// testVolumes checks that every mount exists: a volume, a claim, a ConfigMap of this folder, a Secret that README creates.
func testVolumes(t *testing.T, name string, pod core.PodSpec, m manifests) {
	t.Helper()
	var volumes []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap != nil && m.configMaps[v.ConfigMap.Name] == nil {
			t.Errorf("%s: no ConfigMap %s", name, v.ConfigMap.Name)
		}
		if v.Secret != nil && !strings.Contains(read(t, "README.md"), "kubectl create secret generic "+v.Secret.SecretName+" ") {
			t.Errorf("%s: README does not say how to make the Secret %s", name, v.Secret.SecretName)
		}
	}
	if name == "vllm" {
		for _, c := range m.statefulSets["vllm"].Spec.VolumeClaimTemplates {
			volumes = append(volumes, c.Name)
		}
	}
	var mounted []string
	for _, v := range container(t, pod).VolumeMounts {
		mounted = append(mounted, v.Name)
	}
	slices.Sort(volumes)
	slices.Sort(mounted)
	if !slices.Equal(volumes, mounted) {
		t.Errorf("%s: volumes %q, mounted %q", name, volumes, mounted)
	}
}

// Pods have the rights that they need and no more.
func TestSecurity(t *testing.T) {
	m := readManifests(t)
	for name, pod := range map[string]core.PodSpec{
		"tether": m.deployments["tether"].Spec.Template.Spec, "vllm": m.statefulSets["vllm"].Spec.Template.Spec,
	} {
		c := container(t, pod)
		if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks || pod.HostNetwork {
			t.Errorf("%s: Kubernetes adds a token or variables that the pod does not need", name)
		}
		if pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: %+v", name, pod.SecurityContext)
		}
		if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: %+v", name, c.Resources)
		}
	}
	pod := m.deployments["tether"].Spec.Template.Spec
	s := pod.SecurityContext
	user := fmt.Sprintf("\nUSER %d:%d\n", *s.RunAsUser, *s.RunAsGroup)
	if !*s.RunAsNonRoot || *s.FSGroup != *s.RunAsGroup || !strings.Contains(read(t, "../Dockerfile"), user) {
		t.Errorf("tether runs as %+v, not as the user of the image", s)
	}
	if !*container(t, pod).SecurityContext.ReadOnlyRootFilesystem {
		t.Error("tether can write to its image")
	}
}
