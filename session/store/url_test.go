package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Address{
		"redis://a":                                  {Hosts: []string{"a:6379"}},
		"redis://a:1,b,[::1]:3/7":                    {Hosts: []string{"a:1", "b:6379", "[::1]:3"}, Database: 7},
		"rediss://u:p%40ss@a:1":                      {Hosts: []string{"a:1"}, User: "u", Password: "p@ss", Secure: true},
		"redis://:pa:ss@a":                           {Hosts: []string{"a:6379"}, Password: "pa:ss"},
		"redis://u@a":                                {Hosts: []string{"a:6379"}, User: "u"},
		"redis-sentinel://:p@a,b:1/mymaster":         {Hosts: []string{"a:26379", "b:1"}, Password: "p", Master: "mymaster"},
		"rediss-sentinel://a/mymaster/2":             {Hosts: []string{"a:26379"}, Master: "mymaster", Database: 2, Secure: true},
		"redis://%75ser:%2F%3F%23%25@redis.example/": {Hosts: []string{"redis.example:6379"}, User: "user", Password: "/?#%"},
	} {
		got, err := ParseURL(raw)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", raw, err, diff)
		}
	}
}

// No error and no text has a password, whatever is wrong with the URL.
func TestNoPasswordIsShown(t *testing.T) {
	for _, raw := range []string{
		"redis://u:hunter2@a", "redis://:hunter2@a/1", "hunter2", "redis:hunter2@a", "redis://u:hunter2%zz@a", "redis://u:hunter2@", "redis://u:hunter2@a:x",
		"redis://u:hunter2@a:99999", "redis://u:hunter2@a/hunter2", "redis-sentinel://u:hunter2@a", "redis://u:hunter2@a?x=hunter2", "redis://u:hunter2/@a",
		"http://u:hunter2@a", "redis://hunter2%zz@a", "redis://u:hunter2#@a", "redis-sentinel://u:hunter2@a/m/x", "redis://u:hunter2@a b", "://hunter2",
	} {
		u := URL(raw)
		text, _ := u.MarshalText() // it has no error
		_, err := ParseURL(raw)
		for _, shown := range []string{u.String(), string(text), fmt.Sprint(u), fmt.Sprintf("%#v %q %v", u, u, Config{URL: u}), fmt.Sprint(err)} {
			if strings.Contains(shown, "hunter2") {
				t.Errorf("%q shows %s", raw, shown)
			}
		}
	}
	for raw, want := range map[string]string{
		"redis://u:p@a:1/2": "redis://u:***@a:1/2", "redis://:p@a": "redis://:***@a", "redis://u@a": "redis://u@a", "redis://a": "redis://a", "": "",
	} {
		if got := URL(raw).String(); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestBadURLs(t *testing.T) {
	for raw, want := range map[string]error{
		"a:6379": errScheme, "http://a": errScheme, "": errScheme, "redis://": errHost, "redis://a,": errHost, "redis://a:b": errHost, "redis://a:0": errHost,
		"redis://a:70000": errHost, "redis://a/x": errDatabase, "redis://a/-1": errDatabase, "redis://a/99999999": errDatabase, "redis://a?db=1": errQuery, "redis://a#": errQuery,
		"redis-sentinel://a": errMaster, "redis-sentinel://a//1": errMaster, "redis://%zz@a": errUser, "redis://u:%zz@a": errUser,
	} {
		if a, err := ParseURL(raw); err != want || len(a.Hosts) > 0 {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}
