package peers

import (
	"errors"
	"testing"
)

func TestFind(t *testing.T) {
	for _, name := range Names() {
		if _, err := Find(name); err != nil && !errors.Is(err, ErrAbsent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Find("unknown"); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("an unknown peer: %v", err)
	}
}

// A variable that names no program is an error, not a peer that is absent.
func TestFindByVariable(t *testing.T) {
	t.Setenv("SMG_BIN", "/nonexistent/smg")
	if _, err := Find("smg"); err == nil || errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	t.Setenv("SMG_BIN", "/bin/sh")
	if p, err := Find("smg"); err != nil || p.Binary != "/bin/sh" {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestVersion(t *testing.T) {
	if got := (Peer{Binary: "/bin/echo"}).Version(); got != "-v" {
		t.Errorf("got %q", got)
	}
	if got := (Peer{Binary: "/bin/false"}).Version(); got != "" {
		t.Errorf("got %q", got)
	}
}
