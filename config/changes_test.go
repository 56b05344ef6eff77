package config

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	key, token := secretFile(t, "key"), secretFile(t, "token")
	c := mustLoad(t, `{upstreams: [{url: "http://a", api_key_file: `+key+`}, {url: "http://b", api_key_file: `+key+`}], admin: {token_file: `+token+`}}`)
	want := []string{c.File, key, token}
	slices.Sort(want)
	if got := c.Files(); !slices.Equal(got, want) || c.File == "" {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestChanges(t *testing.T) {
	before := mustLoad(t, `{upstreams: [{url: "http://a"}]}`)
	for text, want := range map[string]string{
		`{upstreams: [{url: "http://a"}]}`:                                                                  "",
		`{upstreams: [{url: "http://a"}], listen: ":8080"}`:                                                 "",
		`{upstreams: [{url: "http://a", weight: 100}]}`:                                                     "upstreams",
		`{upstreams: [{url: "http://b"}], session: {return: home}, health: {interval: 1s}}`:                 "upstreams session.return health.interval",
		`{upstreams: [{url: "http://a"}], proxy: {trusted_proxies: [10.0.0.1]}, models: {aliases: {a: b}}}`: "models.aliases proxy.trusted_proxies",
	} {
		if got := strings.Join(mustLoad(t, text).Changes(before), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	off, err := Load(Source{Upstreams: []string{"http://a"}, Affinity: "off", Memory: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if got := off.Changes(before); !slices.Equal(got, []string{"--affinity"}) {
		t.Errorf("%q", got)
	}
}

func TestKeep(t *testing.T) {
	before := mustLoad(t, `{upstreams: [{url: "http://a"}]}`)
	c := mustLoad(t, `{upstreams: [{url: "http://b"}], listen: ":1", admin: {listen: ":2"}, session: {ttl: 2h}}`)
	if got := c.Keep(before); !slices.Equal(got, []string{"listen", "admin.listen"}) {
		t.Errorf("%q", got)
	}
	if c.Listen != before.Listen || c.Admin.Listen != before.Admin.Listen || c.Session.Pins.TTL == before.Session.Pins.TTL {
		t.Errorf("%+v", c)
	}
	if got := c.Keep(before); len(got) > 0 {
		t.Errorf("%q again", got)
	}
}

// A configuration tells by digests what cannot change, secrets included. What flags and variables set stays as it is.
func TestNeedRestart(t *testing.T) {
	secret := secretFile(t, "secret")
	running := mustLoad(t, `{upstreams: [{url: "http://a"}], session: {max: 1000, secret_file: `+secret+`, store: {url: "redis://:one@a"}}}`, func(src *Source) {
		src.Flags, src.Environ = []Flag{{Name: "--listen", Path: "listen", Value: ":1"}}, []string{"TETHER_PROXY_ENGINE=go"}
	})
	for text, want := range map[string]string{
		`max: 1000, store: {url: "redis://:one@a"}`:                    "",
		`max: 1000, store: {url: "redis://:one@a"}, return: home`:      "",
		`max: 2000, store: {url: "redis://:two@a"}, snapshot: "/pins"`: "session.max session.snapshot session.store.url",
	} {
		c := mustLoad(t, `{upstreams: [{url: "http://b"}], listen: ":2", tracing: {sample: 0.01}, session: {secret_file: `+secret+`, `+text+`}}`)
		if got := strings.Join(running.NeedRestart(c.Fixed()), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for key, digest := range running.Fixed() {
		if len(digest) != 64 || strings.Contains(digest, "one") {
			t.Errorf("%s: %q is no digest", key, digest)
		}
	}
	if got := running.NeedRestart(map[string]string{"unknown": "1"}); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// Every key either changes or is kept, and each by its name.
func TestEveryKeyChangesOrIsKept(t *testing.T) {
	before := Default()
	names := leaves(before)
	kept := 0
	for path := range names {
		c := Default()
		differ(t, leaves(c)[path])
		if changes := c.Changes(before); !slices.Equal(changes, []string{path}) {
			t.Errorf("%s: changes %q", path, changes)
		}
		if _, is := c.Fixed()[path]; is {
			if kept++; !slices.Equal(before.NeedRestart(c.Fixed()), []string{path}) || !slices.Equal(c.Keep(before), []string{path}) || len(c.Changes(before)) > 0 {
				t.Errorf("%s is not kept, or needs no restart", path)
			}
		} else if keys := append(before.NeedRestart(c.Fixed()), c.Keep(before)...); len(keys) > 0 || len(c.Changes(before)) != 1 {
			t.Errorf("%s: %q needs a restart", path, keys)
		}
	}
	t.Logf("%d keys change, %d need a restart", len(names)-kept, kept)
}

// differ gives a leaf another value.
func differ(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 0.5)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.Zero(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	case reflect.Struct:
		differ(t, v.Field(0))
	default:
		t.Fatalf("no other value of %s", v.Type())
	}
}

// The example file and the operators' page name the keys that cannot change while tether runs, and no others.
func TestFixedKeysAreDocumented(t *testing.T) {
	example, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(example), "All keys change without a restart, except ")
	list, _, _ = strings.Cut(list, ". ")
	if got := strings.Join(strings.Fields(strings.NewReplacer("#", "", ",", " ", " and ", " ").Replace(list)), " "); got != strings.Join(fixed, " ") {
		t.Errorf("config.example.yaml: %s", got)
	}
	var quoted []string
	for _, key := range fixed {
		quoted = append(quoted, "`"+key+"`")
	}
	want := "**These keys need a restart:** " + strings.Join(quoted[:len(quoted)-1], ", ") + " and " + quoted[len(quoted)-1] + "."
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/OPERATIONS.md does not say %s", want)
	}
}
