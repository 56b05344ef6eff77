package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tether/upstream"
	"tether/upstream/load"
)

// What a server says of its load is shown of its upstreams and where requests go, as far as it is known.
func TestEngineIsShown(t *testing.T) {
	o := operate(t, loopbackOnly, "", "vllm-0", "vllm-1", "vllm-2")
	members := o.registry.Table().Members
	say := func(i int, l load.EngineLoad) {
		members[i].SetHealth(upstream.Up, "test")
		upstream.SaidLoads(members[i].Server, func(int) load.EngineLoad { return l })
	}
	now := time.Now()
	say(0, load.EngineLoad{Running: 3, Waiting: 0, KVUsage: 0.25, KVCapacity: 4096, At: now})
	say(1, load.EngineLoad{Running: load.Unknown, Waiting: 2, KVUsage: load.Unknown, KVCapacity: load.Unknown, At: now})
	say(2, load.EngineLoad{Running: 3, Waiting: 2, KVUsage: 0.25, KVCapacity: 512, At: now.Add(-time.Hour)})

	var list struct{ Upstreams []json.RawMessage }
	if err := json.Unmarshal([]byte(o.ask("GET", "/api/upstreams").body), &list); err != nil || len(list.Upstreams) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{
		`"engine":{"running":3,"waiting":0,"kv_usage":0.25},"kv_capacity_tokens":4096`, `"engine":{"waiting":2}`, `"kv_capacity_tokens":512`,
	} {
		got := strings.Join(strings.Fields(string(list.Upstreams[i])), "")
		if !strings.Contains(got, want) || strings.Contains(got, `"engine"`) != (i < 2) || strings.Contains(got, "kv_capacity") != (i != 1) {
			t.Errorf("vllm-%d: %s, want %s", i, got, want)
		}
	}

	where, err := o.server.guide.Session("s-1", nil)
	if err != nil || len(where.Places) != 1 || len(where.Places[0].Walk) != 3 {
		t.Fatalf("%+v, %v", where, err)
	}
	for _, s := range where.Places[0].Walk {
		if s.Upstream == "vllm-0" && (s.Engine == nil || *s.Engine.Running != 3 || *s.Engine.Waiting != 0 || *s.Engine.KVUsage != 0.25) {
			t.Errorf("%+v", s.Engine)
		}
		if s.Upstream == "vllm-2" && s.Engine != nil {
			t.Errorf("old figures are shown: %+v", s.Engine)
		}
	}
}
