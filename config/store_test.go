package config

import (
	"strings"
	"testing"
)

// A store needs a secret, and no problem, list of changes or effective configuration shows its password.
func TestStore(t *testing.T) {
	const upstreams = "upstreams: [{url: \"http://a\"}]\n"
	_, err := load(t, upstreams+"session:\n  store:\n    url: redis://:hunter2@a")
	if got, want := problemsOf(err), "c.yaml:4: session.store.url: and there is no session.secret_file: the tethers of a store need the same secret"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, url := range []string{"hunter2@a", "redis://u:hunter2@a:x", "redis://u:hunter2@a?hunter2"} {
		_, err := load(t, upstreams+"session:\n  store:\n    url: \""+url+"\"\n    timeout: 1h\n")
		if got := problemsOf(err); strings.Contains(got, "hunter2") || !strings.Contains(got, "c.yaml:4: session.store.url: ") || !strings.Contains(got, "c.yaml:5: session.store.timeout: 1h0m0s, want 50ms..4s") {
			t.Errorf("%s", got)
		}
	}
	secret := secretFile(t, "secret")
	c := mustLoad(t, upstreams+"session:\n  secret_file: "+secret+"\n  store: { url: \"redis://u:hunter2@a:1/2\", tls: { } }")
	text, err := c.Effective()
	if err != nil || strings.Contains(text, "hunter2") || !strings.Contains(text, "url: redis://u:***@a:1/2\n") {
		t.Errorf("%v\n%s", err, text)
	}
	fromEnv, err := Load(Source{Upstreams: []string{"http://a"}, Environ: []string{"TETHER_SESSION_STORE_URL=redis://:hunter2@b", "TETHER_SESSION_SECRET_FILE=" + secret}, Memory: memory})
	if err != nil || fromEnv.Session.Store.URL != "redis://:hunter2@b" {
		t.Fatal(err)
	}
	if got := c.Changes(fromEnv); strings.Contains(strings.Join(got, " "), "hunter2") || !strings.Contains(strings.Join(got, " "), "session.store.url") {
		t.Errorf("%q", got)
	}
	if kept := fromEnv.Keep(c); len(kept) != 1 || kept[0] != "session.store.url" || fromEnv.Session.Store.URL != c.Session.Store.URL {
		t.Errorf("%q", kept)
	}
	_, err = load(t, upstreams+"session: { secret_file: "+secret+", store: { url: \"redis-sentinel://a/m\", password_file: /nowhere, sentinel_password_file: /none } }")
	if got := problemsOf(err); !strings.Contains(got, `session.store.password_file: "/nowhere"`) || !strings.Contains(got, `session.store.sentinel_password_file: "/none"`) {
		t.Error(got)
	}
}
