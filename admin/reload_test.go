package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestReload(t *testing.T) {
	o := operate(t, loopbackOnly, "", "a")
	if r := o.ask("POST", "/api/reload"); r.StatusCode != 409 || !strings.Contains(r.body, "no configuration to load again") {
		t.Errorf("%s: %s", r.Status, r.body)
	}
	var err error
	o.server.deps.Reload = func(context.Context) (Reloaded, error) {
		return Reloaded{Changed: []string{"upstreams"}, NeedRestart: []string{}, Warnings: []string{"w"}}, err
	}
	if r := o.ask("POST", "/api/reload"); r.StatusCode != 200 || r.body != `{"changed":["upstreams"],"need_restart":[],"warnings":["w"]}`+"\n" {
		t.Errorf("%s: %s", r.Status, r.body)
	}
	err = errors.New("t.yaml:1: listne: unknown key\nt.yaml:2: more")
	if r := o.ask("POST", "/api/reload"); r.StatusCode != 422 || !strings.Contains(r.body, `"message":"t.yaml:1: listne: unknown key\nt.yaml:2: more"`) {
		t.Errorf("%s: %s", r.Status, r.body)
	}
	if r := o.ask("GET", "/api/reload"); r.StatusCode != 405 {
		t.Errorf("%s: %s", r.Status, r.body)
	}
}
