package kube

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tether/discovery"
)

// endpoints makes servers of EndpointSlices.
type endpoints struct {
	port     string                    // name or number, "" for the only one
	pods     func(name string) *object // nil if annotations do not count
	problems []string
}

// maxProblems limits the problems of one set that are reported.
const maxProblems = 3

func (e *endpoints) problem() error {
	if len(e.problems) == 0 {
		return nil
	}
	slices.Sort(e.problems)
	all := slices.Compact(e.problems)
	text := strings.Join(all[:min(len(all), maxProblems)], "; ")
	if more := len(all) - maxProblems; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return errors.New(text)
}

func (e *endpoints) wrong(format string, args ...any) {
	e.problems = append(e.problems, fmt.Sprintf(format, args...))
}

// servers returns the servers in the order of their names. A pod that is in two slices, because it has addresses of IPv4 and
// IPv6 or because it is being moved between slices, is one server: IPv4 before IPv6, then the one that takes new sessions.
func (e *endpoints) servers(all map[string]*endpointSlice) []discovery.Found {
	servers := map[string]discovery.Found{}
	for _, name := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(strings.Compare(all[a].AddressType, all[b].AddressType), strings.Compare(a, b))
	}) {
		slice := all[name]
		port, ok := e.portOf(slice)
		if !ok || slice.AddressType != "IPv4" && slice.AddressType != "IPv6" {
			continue
		}
		for i := range slice.Endpoints {
			if f, ok := e.server(&slice.Endpoints[i], port); ok {
				if was, twice := servers[f.Name]; !twice || was.Drain && !f.Drain && sameFamily(was.Address, f.Address) {
					servers[f.Name] = f
				}
			}
		}
	}
	set := slices.SortedFunc(maps.Values(servers), func(a, b discovery.Found) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name)) // vllm-2 before vllm-10
	})
	if len(set) > discovery.MaxServers {
		e.wrong("the service has %d endpoints, the first %d count", len(set), discovery.MaxServers)
		set = set[:discovery.MaxServers]
	}
	return append([]discovery.Found{}, set...) // never nil: a service without pods is a set
}

func sameFamily(a, b string) bool { return strings.HasPrefix(a, "[") == strings.HasPrefix(b, "[") }

// portOf returns the port of a slice that the configuration names.
func (e *endpoints) portOf(slice *endpointSlice) (port int, ok bool) {
	var names []string
	for _, p := range slice.Ports {
		if p.Protocol != "" && p.Protocol != "TCP" || p.Port < 1 || p.Port > 65535 {
			continue
		}
		if e.port != "" && (e.port == p.Name || e.port == strconv.Itoa(p.Port)) {
			return p.Port, true
		}
		names = append(names, cmp.Or(p.Name, strconv.Itoa(p.Port)))
		port = p.Port
	}
	switch {
	case len(slice.Endpoints) == 0:
	case e.port != "":
		e.wrong("the service has no port %q, but %s", e.port, cmp.Or(strings.Join(names, ", "), "none"))
	case len(names) == 1:
		return port, true
	default:
		e.wrong("the service has the ports %s: want one of them as port", cmp.Or(strings.Join(names, ", "), "none"))
	}
	return 0, false
}

// server returns the server of an endpoint. ok is false if the endpoint has no usable address, or if its pod is not known yet.
func (e *endpoints) server(from *endpoint, port int) (f discovery.Found, ok bool) {
	if len(from.Addresses) == 0 {
		return f, false
	}
	ip, err := netip.ParseAddr(from.Addresses[0])
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
		e.wrong("an endpoint has no usable address")
		return f, false
	}
	f.Address = net.JoinHostPort(ip.String(), strconv.Itoa(port))
	f.Name = cmp.Or(from.pod(), from.Hostname, f.Address)
	f.Drain = !from.takesSessions()
	if e.pods == nil || from.pod() == "" {
		return f, true
	}
	pod := e.pods(f.Name)
	if pod == nil {
		e.wrong("pod %s: not found by pod_selector", f.Name) // or not yet: the other watch is about to show it
		return f, false
	}
	e.annotate(&f, pod.Metadata.Annotations)
	return f, true
}

// pod returns the name of the pod, "" if the endpoint is none.
func (e *endpoint) pod() string {
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		return e.TargetRef.Name
	}
	return ""
}

// takesSessions reports whether the endpoint is ready and not about to end. With publishNotReadyAddresses every endpoint is
// ready, and serving says what its probe says.
func (e *endpoint) takesSessions() bool {
	is := func(condition *bool, missing bool) bool {
		if condition == nil {
			return missing
		}
		return *condition
	}
	c := &e.Conditions
	return is(c.Ready, true) && is(c.Serving, true) && !is(c.Terminating, false)
}
