package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tether/discovery"
)

// slicesOf reads EndpointSlices, which are called a, b and so on.
func slicesOf(t testing.TB, texts ...string) map[string]*endpointSlice {
	t.Helper()
	all := map[string]*endpointSlice{}
	for i, text := range texts {
		s := &endpointSlice{}
		if err := json.Unmarshal([]byte(text), s); err != nil {
			t.Fatal(err)
		}
		all[string(rune('a'+i))] = s
	}
	return all
}

func TestServers(t *testing.T) {
	const ports = `"ports":[{"name":"http","port":8000},{"name":"dns","protocol":"UDP","port":53}]`
	one := func(rest string) string {
		return `{"addressType":"IPv4",` + ports + `,"endpoints":[{"addresses":["10.0.0.1"]` + rest + `}]}`
	}
	for name, c := range map[string]struct {
		port          string
		slices        []string
		want, problem string
	}{
		"the only port":             {"", []string{one("")}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"a port by name":            {"http", []string{one("")}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"a port by number":          {"8000", []string{one("")}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"a port that is not there":  {"web", []string{one("")}, "", `the service has no port "web", but http`},
		"a port of UDP":             {"dns", []string{one("")}, "", `the service has no port "dns", but http`},
		"two ports":                 {"", []string{`{"addressType":"IPv4","ports":[{"name":"a","port":1},{"port":2}],"endpoints":[{"addresses":["10.0.0.1"]}]}`}, "", "the service has the ports a, 2: want one of them as port"},
		"no port":                   {"", []string{`{"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}]}`}, "", "the service has the ports none: want one of them as port"},
		"an impossible port":        {"", []string{`{"addressType":"IPv4","ports":[{"port":70000}],"endpoints":[{"addresses":["10.0.0.1"]}]}`}, "", "the service has the ports none: want one of them as port"},
		"no pods, no ports":         {"http", []string{`{"addressType":"IPv4","ports":null,"endpoints":null}`}, "", ""},
		"a pod":                     {"", []string{one(`,"hostname":"h","targetRef":{"kind":"Pod","name":"p"}`)}, "p=10.0.0.1:8000", ""},
		"a hostname":                {"", []string{one(`,"hostname":"h","targetRef":{"kind":"Node","name":"n"}`)}, "h=10.0.0.1:8000", ""},
		"ready":                     {"", []string{one(`,"conditions":{"ready":true,"serving":true,"terminating":false}`)}, "10.0.0.1:8000=10.0.0.1:8000", ""},
		"unready":                   {"", []string{one(`,"conditions":{"ready":false}`)}, "10.0.0.1:8000=10.0.0.1:8000!", ""},
		"published and not serving": {"", []string{one(`,"conditions":{"ready":true,"serving":false}`)}, "10.0.0.1:8000=10.0.0.1:8000!", ""},
		"terminating":               {"", []string{one(`,"conditions":{"ready":false,"serving":true,"terminating":true}`)}, "10.0.0.1:8000=10.0.0.1:8000!", ""},
		"published and terminating": {"", []string{one(`,"conditions":{"ready":true,"serving":true,"terminating":true}`)}, "10.0.0.1:8000=10.0.0.1:8000!", ""},
		"a name, not an address":    {"", []string{`{"addressType":"FQDN",` + ports + `,"endpoints":[{"addresses":["a.example"]}]}`}, "", ""},
		"no address":                {"", []string{`{"addressType":"IPv4",` + ports + `,"endpoints":[{"addresses":[]},{"addresses":["x"]},{"addresses":["0.0.0.0"]}]}`}, "", "an endpoint has no usable address"},
		"both families":             {"", []string{strings.Replace(strings.Replace(slice("p-0=fd00::1"), "IPv4", "IPv6", 1), "8000", "8001", 1), slice("p-0=10.0.0.1!")}, "p-0=10.0.0.1:8000!", ""},
		"IPv6 alone":                {"", []string{strings.Replace(slice("p-0=fd00::1"), "IPv4", "IPv6", 1)}, "p-0=[fd00::1]:8000", ""},
		"a pod that is moved":       {"", []string{slice("p-0=10.0.0.1!"), slice("p-0=10.0.0.2")}, "p-0=10.0.0.2:8000", ""},
		"in the order of numbers":   {"", []string{slice("p-10=10.0.0.1 p-9=10.0.0.2"), slice("p-2=10.0.0.3")}, "p-2=10.0.0.3:8000, p-9=10.0.0.2:8000, p-10=10.0.0.1:8000", ""},
	} {
		e := endpoints{port: c.port}
		got := words(e.servers(slicesOf(t, c.slices...)))
		problem := ""
		if err := e.problem(); err != nil {
			problem = err.Error()
		}
		if got != c.want || problem != c.problem {
			t.Errorf("%s\ngot  %s; %s\nwant %s; %s", name, got, problem, c.want, c.problem)
		}
	}
}

func TestServersAreBounded(t *testing.T) {
	var pods strings.Builder
	for i := range discovery.MaxServers + 1 {
		fmt.Fprintf(&pods, "p-%d=10.1.%d.%d ", i, i/256, i%256)
	}
	e := endpoints{}
	if set := e.servers(slicesOf(t, slice(pods.String()))); len(set) != discovery.MaxServers || e.problem() == nil || e.problem().Error() != "the service has 4097 endpoints, the first 4096 count" {
		t.Errorf("%d servers, %v", len(set), e.problem())
	}
}
