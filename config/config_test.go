package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tether/discovery/dns"
	"tether/discovery/kube"
)

const memory = 4 << 30

func load(t *testing.T, text string, change ...func(*Source)) (*Config, error) {
	t.Helper()
	src := Source{File: filepath.Join(t.TempDir(), "c.yaml"), Memory: memory}
	if err := os.WriteFile(src.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&src)
	}
	return Load(src)
}

func mustLoad(t *testing.T, text string, change ...func(*Source)) *Config {
	t.Helper()
	c, err := load(t, text, change...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// problemsOf returns the text of an error, with the file that load wrote as c.yaml.
func problemsOf(err error) string {
	if err == nil {
		return ""
	}
	return temporary.ReplaceAllString(err.Error(), "c.yaml")
}

// temporary matches the path of the file that load wrote.
var temporary = regexp.MustCompile(`(?m)/[^\s"]+/c\.yaml`)

// The example holds every key with its default.
func TestExample(t *testing.T) {
	const path = "../config.example.yaml"
	c, err := Load(Source{File: path, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Upstreams = c.Upstreams
	c.File = ""
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("the example differs from the defaults (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	has := func(path string) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		if !strings.Contains(string(text), key+":") {
			t.Errorf("no %s in the example", path)
		}
	}
	eachLeaf("", reflect.ValueOf(c).Elem(), func(path string, _ reflect.Value) { has(path) })
	for _, one := range []any{&Discovery{}, &dns.Config{}, &kube.Config{}} {
		eachLeaf("discovery", reflect.ValueOf(one).Elem(), func(path string, _ reflect.Value) { has(path) })
	}
	eachLeaf("upstreams", reflect.ValueOf(&Upstream{}).Elem(), func(path string, _ reflect.Value) { has(path) })
}
