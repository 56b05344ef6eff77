package tlsfiles

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"tether/files"
	"tether/tlsfiles/tlstest"
)

// shown returns the name in the certificate that a listener with the configuration shows.
func shown(t *testing.T, k *Reloading) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _ = tls.Server(server, k.ForServer()).Handshake() }()
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func replace(t *testing.T, path, by string) {
	t.Helper()
	text, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// New files are used when two looks have found both. Until then, and while they are no good, the configuration stays as it
// was, and each reason is reported once.
func TestReload(t *testing.T) {
	a := tlstest.NewAuthority(t)
	pair, next := a.Issue(time.Hour, "first"), a.Issue(2*time.Hour, "second")
	k, err := ForListener(&Listener{Cert: pair.Cert, Key: pair.Key})
	if err != nil {
		t.Fatal(err)
	}
	refresh := func(changed bool, problem string) {
		t.Helper()
		if changed {
			if early, err := k.Files().Refresh(); early || err != nil {
				t.Errorf("changed at the first look, %v", err)
			}
		}
		got, err := k.Files().Refresh()
		if got != changed || (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("changed %v, %v; want %v, %s", got, err, changed, problem)
		}
	}
	is := func(name string) {
		t.Helper()
		if got := shown(t, k); got != name {
			t.Errorf("shows %s, want %s", got, name)
		}
	}
	is("first")
	refresh(false, "")
	replace(t, pair.Cert, next.Cert)
	refresh(true, "private key does not match")
	refresh(false, "")
	is("first")
	if left := time.Until(k.Expires()); left > time.Hour || left < 50*time.Minute {
		t.Errorf("expires in %v", left)
	}
	replace(t, pair.Key, next.Key)
	refresh(true, "")
	is("second")
	if left := time.Until(k.Expires()); left < 110*time.Minute {
		t.Errorf("expires in %v", left)
	}
	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	refresh(true, "is not there")
	refresh(false, "")
	is("second")
	replace(t, pair.Key, next.Key)
	refresh(true, "")
	is("second")
	// Contents that are there for one look only.
	replace(t, pair.Cert, a.File)
	refresh(false, "")
	replace(t, pair.Cert, next.Cert)
	refresh(false, "")
	refresh(false, "")
	is("second")
}

// Following several configurations reports the one whose files changed.
func TestFollow(t *testing.T) {
	a := tlstest.NewAuthority(t)
	pair, next := a.Issue(time.Hour, "first"), a.Issue(time.Hour, "second")
	k, err := ForListener(&Listener{Cert: pair.Cert, Key: pair.Key})
	if err != nil {
		t.Fatal(err)
	}
	still, err := ForUpstream(&Upstream{CA: a.File}, "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	told := make(chan error, 10)
	go func() {
		ended <- files.Follow(ctx, time.Millisecond, func() []files.Followed {
			return []files.Followed{
				{Follower: still.Files(), OnChange: func(error) { t.Error("reported files that did not change") }},
				{Follower: k.Files(), OnChange: func(err error) { told <- err }},
			}
		})
	}()
	replace(t, pair.Cert, next.Cert)
	replace(t, pair.Key, next.Key)
	for err := range told { // there may have been a look between the two writes
		if err == nil {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := shown(t, k); got != "second" {
		t.Errorf("shows %s", got)
	}
}

// An upstream's configuration trusts the given authority alone, and wants the host of the URL or the configured name.
func TestForUpstream(t *testing.T) {
	a := tlstest.NewAuthority(t)
	for _, c := range []struct {
		u    Upstream
		name string
		own  bool
	}{{Upstream{}, "host", false}, {Upstream{CA: a.File, ServerName: "x"}, "x", true}} {
		k, err := ForUpstream(&c.u, "host")
		if err != nil {
			t.Fatal(err)
		}
		cfg := k.Config()
		if cfg.ServerName != c.name || (cfg.RootCAs != nil) != c.own || cfg.InsecureSkipVerify || cfg.MinVersion != tls.VersionTLS12 || !k.Expires().IsZero() {
			t.Errorf("%+v", cfg)
		}
		if c.own && !cfg.RootCAs.Equal(a.Pool) {
			t.Error("trusts other authorities")
		}
	}
	if _, err := ForUpstream(&Upstream{CA: "/nobody"}, "x"); err == nil {
		t.Error("no error for a missing file")
	}
}
