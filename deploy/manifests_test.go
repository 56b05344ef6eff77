package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// manifests has the objects of the files in kubernetes/, by kind and name.
type manifests struct {
	configMaps   map[string]*core.ConfigMap
	services     map[string]*core.Service
	deployments  map[string]*apps.Deployment
	statefulSets map[string]*apps.StatefulSet
	budgets      map[string]*policy.PodDisruptionBudget
	policies     map[string]*networking.NetworkPolicy
}

// readManifests decodes all objects strictly into the types of the API. An unknown key, a duplicate key and a value of the
// wrong type are errors.
func readManifests(t testing.TB) manifests {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, policy.AddToScheme, networking.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	m := manifests{
		configMaps: map[string]*core.ConfigMap{}, services: map[string]*core.Service{},
		deployments: map[string]*apps.Deployment{}, statefulSets: map[string]*apps.StatefulSet{},
		budgets: map[string]*policy.PodDisruptionBudget{}, policies: map[string]*networking.NetworkPolicy{},
	}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests, %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
			object, kind, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Errorf("%s, document %d: %v", file, i+1, err)
				continue
			}
			if !m.add(object) {
				t.Errorf("%s, document %d: no test checks a %s", file, i+1, kind)
			}
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
