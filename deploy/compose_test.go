package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// readCompose reads a compose file as Docker Compose does: it matches the schema, and its references resolve.
func readCompose(t *testing.T, dir string) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}}, Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// Docker Compose can start one tether in front of two servers.
func TestCompose(t *testing.T) {
	project := readCompose(t, "compose")
	s := check(t, "compose/tether.yaml")
	testProxyService(t, project, s)
	testServers(t, project, s)
	if len(project.Services) != 3 {
		t.Errorf("the services are %q", project.ServiceNames())
	}
}

// testProxyService checks that tether has its file, enough time to stop, and enough descriptors.
func testProxyService(t *testing.T, project *types.Project, s settings) {
	t.Helper()
	proxy := project.Services["tether"]
	longer(t, "tether", time.Duration(*proxy.StopGracePeriod), s.stopping())
	if len(proxy.Volumes) != 1 || proxy.Volumes[0].Target != "/etc/tether/config.yaml" || !strings.HasSuffix(proxy.Volumes[0].Source, "/tether.yaml") {
		t.Errorf("%+v", proxy.Volumes)
	}
	if _, err := os.Stat(filepath.Join(proxy.Build.Context, "Dockerfile")); err != nil {
		t.Error(err)
	}
	if u := proxy.Ulimits["nofile"]; u == nil || u.Single < 2*s.Proxy.MaxConnections {
		t.Errorf("%+v for %d clients", u, s.Proxy.MaxConnections)
	}
}

// testServers checks that tether's upstreams are the two vLLM services, each with a GPU of its own and time to stop.
func testServers(t *testing.T, project *types.Project, s settings) {
	t.Helper()
	var devices, named []string
	for _, u := range s.Upstreams {
		named = append(named, u.Name)
		vllm, there := project.Services[u.Name]
		if !there || u.URL != "http://"+u.Name+":8000" {
			t.Errorf("upstream %s, %s has no service", u.Name, u.URL)
			continue
		}
		longer(t, u.Name, time.Duration(*vllm.StopGracePeriod), shutdownTimeout(t, vllm.Command))
		if d := project.Services["tether"].DependsOn[u.Name]; d.Condition != types.ServiceConditionStarted || !d.Required {
			t.Errorf("tether waits for %s: %+v", u.Name, d)
		}
		if len(vllm.Ports) > 0 || !slices.Contains(vllm.Command, "--port=8000") {
			t.Errorf("%s: %+v, %q: only tether may reach vLLM's port", u.Name, vllm.Ports, vllm.Command)
		}
		for _, d := range vllm.Deploy.Resources.Reservations.Devices {
			devices = append(devices, d.IDs...)
		}
	}
	if want := []string{"0", "1"}; !slices.Equal(devices, want) {
		t.Errorf("the servers have the GPUs %q, want one each: %q", devices, want)
	}
	if want := []string{"vllm-0", "vllm-1"}; !slices.Equal(named, want) {
		t.Errorf("the upstreams are %q", named)
	}
}
