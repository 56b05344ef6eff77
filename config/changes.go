package config

import (
	"reflect"
	"slices"
	"strings"
)

// Files returns the files that Load read, besides those whose contents are followed by themselves: API keys of clients, and
// certificates.
func (c *Config) Files() (paths []string) {
	all := []string{c.File, c.Admin.TokenFile, c.Session.Identity.SecretFile}
	for i := range c.Upstreams {
		all = append(all, c.Upstreams[i].APIKeyFile)
	}
	for i := range c.Discovery {
		all = append(all, c.Discovery[i].Upstream.APIKeyFile)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(path string) bool { return path == "" })
}

// fixed are the keys that cannot change while tether runs.
var fixed = []string{
	"listen", "admin.listen", "session.max", "session.snapshot", "session.store", "proxy.handover",
	"tracing.endpoint", "tracing.protocol", "tracing.sample", "tracing.timeout",
}

// Changes returns the keys whose values differ from those of before. The value of a list or a map counts as a whole.
func (c *Config) Changes(before *Config) (keys []string) {
	was := leaves(before)
	eachLeaf("", reflect.ValueOf(c).Elem(), func(path string, v reflect.Value) {
		if !reflect.DeepEqual(v.Interface(), was[path].Interface()) {
			keys = append(keys, path)
		}
	})
	if c.Session.Routing.Affinity != before.Session.Routing.Affinity {
		keys = append(keys, "--affinity")
	}
	return keys
}

// Keep takes over the values of before for the keys that cannot change while tether runs, and returns those of them that differed.
func (c *Config) Keep(before *Config) (kept []string) {
	was := leaves(before)
	eachLeaf("", reflect.ValueOf(c).Elem(), func(path string, v reflect.Value) {
		if isFixed(path) && !reflect.DeepEqual(v.Interface(), was[path].Interface()) {
			v.Set(was[path])
			kept = append(kept, path)
		}
	})
	return kept
}

// isFixed reports whether a key, or one above it, cannot change while tether runs.
func isFixed(path string) bool {
	return slices.ContainsFunc(fixed, func(key string) bool { return path == key || strings.HasPrefix(path, key+".") })
}

func leaves(c *Config) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	eachLeaf("", reflect.ValueOf(c).Elem(), func(path string, v reflect.Value) { all[path] = v })
	return all
}
