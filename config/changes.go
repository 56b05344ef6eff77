package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// fixed are the keys that cannot change while tether runs, or the keys above them. All others can. config.example.yaml names them.
var fixed = []string{
	"listen", "admin.listen", "session.max", "session.snapshot", "session.store", "proxy.engine", "proxy.loops", "proxy.handover", "tracing",
}

// Fixed returns a digest of the value of each key that cannot change while tether runs. A digest tells no secret of the value.
func (c *Config) Fixed() map[string]string {
	all := map[string]string{}
	for path, v := range leaves(c) {
		if isFixed(path) {
			all[path] = digestOf(v)
		}
	}
	return all
}

func digestOf(v reflect.Value) string {
	text := fmt.Sprint(v.Interface())
	if v.Kind() == reflect.String {
		text = v.String() // a secret prints as ***
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// NeedRestart returns the keys, in the order of the alphabet, that a process with the configuration c would have to be restarted for, given
// what Fixed returns for another configuration. Keys that variables and flags of the process set do not count.
func (c *Config) NeedRestart(other map[string]string) (keys []string) {
	for path, digest := range c.Fixed() {
		if !slices.Contains(c.Overridden, path) && other[path] != "" && other[path] != digest {
			keys = append(keys, path)
		}
	}
	slices.Sort(keys)
	return keys
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
