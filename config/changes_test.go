package config

import (
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
