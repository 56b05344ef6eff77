package deploy

import (
	"regexp"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// manifests has the objects of the files in kubernetes/, by kind and name.
type manifests struct {
	configMaps   map[string]*core.ConfigMap
	services     map[string]*core.Service
	deployments  map[string]*apps.Deployment
	statefulSets map[string]*apps.StatefulSet
	budgets      map[string]*policy.PodDisruptionBudget
	policies     map[string]*networking.NetworkPolicy
	accounts     map[string]*core.ServiceAccount
	roles        map[string]*rbac.Role // by namespace and name
	bindings     map[string]*rbac.RoleBinding
	monitors     map[string]*serviceMonitor
}

// serviceMonitor is the part of a ServiceMonitor (monitoring.coreos.com/v1) that the chart has.
type serviceMonitor struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   meta.ObjectMeta `json:"metadata"`
	Spec       struct {
		Selector  meta.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// readManifests decodes all objects in kubernetes/.
func readManifests(t testing.TB) manifests {
	t.Helper()
	var text strings.Builder
	for _, file := range []string{"kubernetes/tether.yaml", "kubernetes/vllm.yaml"} {
		text.WriteString(read(t, file) + "\n---\n")
	}
	return decode(t, "kubernetes", text.String())
}

// decode decodes all objects strictly into the types of the API. An unknown key, a duplicate key and a value of the wrong type are
// errors.
func decode(t testing.TB, what, text string) manifests {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, policy.AddToScheme, networking.AddToScheme, rbac.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	m := manifests{
		configMaps: map[string]*core.ConfigMap{}, services: map[string]*core.Service{},
		deployments: map[string]*apps.Deployment{}, statefulSets: map[string]*apps.StatefulSet{},
		budgets: map[string]*policy.PodDisruptionBudget{}, policies: map[string]*networking.NetworkPolicy{},
		accounts: map[string]*core.ServiceAccount{}, roles: map[string]*rbac.Role{}, bindings: map[string]*rbac.RoleBinding{}, monitors: map[string]*serviceMonitor{},
	}
	for i, document := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
		if strings.TrimSpace(document) == "" {
			continue
		}
		if strings.Contains(document, "kind: ServiceMonitor") {
			var monitor serviceMonitor
			if err := yaml.UnmarshalStrict([]byte(document), &monitor); err != nil {
				t.Errorf("%s, document %d: %v", what, i+1, err)
			}
			m.monitors[monitor.Metadata.Name] = &monitor
			continue
		}
		object, kind, err := decoder.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Errorf("%s, document %d: %v\n%s", what, i+1, err, document)
			continue
		}
		if !m.add(object) {
			t.Errorf("%s, document %d: no test checks a %s", what, i+1, kind)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return m
}

func (m manifests) add(object runtime.Object) bool {
	switch o := object.(type) {
	case *core.ConfigMap:
		m.configMaps[o.Name] = o
	case *core.Service:
		m.services[o.Name] = o
	case *apps.Deployment:
		m.deployments[o.Name] = o
	case *apps.StatefulSet:
		m.statefulSets[o.Name] = o
	case *policy.PodDisruptionBudget:
		m.budgets[o.Name] = o
	case *networking.NetworkPolicy:
		m.policies[o.Name] = o
	case *core.ServiceAccount:
		m.accounts[o.Name] = o
	case *rbac.Role:
		m.roles[o.Namespace+"/"+o.Name] = o
	case *rbac.RoleBinding:
		m.bindings[o.Namespace+"/"+o.Name] = o
	default:
		return false
	}
	return true
}

// container returns the only container of a pod.
func container(t testing.TB, pod core.PodSpec) *core.Container {
	t.Helper()
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		t.Fatalf("%d containers, want one", len(pod.Containers))
	}
	return &pod.Containers[0]
}

// portOf returns the number of a container's named port.
func portOf(t testing.TB, c *core.Container, name string) int32 {
	t.Helper()
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	t.Fatalf("%s has no port %q", c.Name, name)
	return 0
}
