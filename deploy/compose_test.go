package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// Docker Compose can read the compose file: it matches the schema, and its references resolve.
func TestCompose(t *testing.T) {
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: "compose", ConfigFiles: []types.ConfigFile{{Filename: "compose/compose.yaml"}}, Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := check(t, "compose/tether.yaml")
	proxy := project.Services["tether"]
	longer(t, "tether", time.Duration(*proxy.StopGracePeriod), s.stopping())
	if len(proxy.Volumes) != 1 || proxy.Volumes[0].Target != "/etc/tether/config.yaml" || !strings.HasSuffix(proxy.Volumes[0].Source, "/tether.yaml") {
		t.Errorf("%+v", proxy.Volumes)
	}
	if u := proxy.Ulimits["nofile"]; u == nil || u.Single < 2*s.Proxy.MaxConnections {
		t.Errorf("%+v for %d clients", u, s.Proxy.MaxConnections)
	}
	var devices, named []string
	for _, u := range s.Upstreams {
		named = append(named, u.Name)
		vllm, there := project.Services[u.Name]
		if !there || u.URL != "http://"+u.Name+":8000" {
			t.Errorf("upstream %s, %s has no service", u.Name, u.URL)
			continue
		}
		longer(t, u.Name, time.Duration(*vllm.StopGracePeriod), shutdownTimeout(t, vllm.Command))
		if d := proxy.DependsOn[u.Name]; d.Condition != types.ServiceConditionStarted || !d.Required {
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
	if want := []string{"vllm-0", "vllm-1"}; !slices.Equal(named, want) || len(project.Services) != 3 {
		t.Errorf("the upstreams are %q, the services %q", named, project.ServiceNames())
	}
}
