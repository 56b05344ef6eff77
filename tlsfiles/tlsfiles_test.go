package tlsfiles

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
)

// problems are what Validate reports, a line each, in its order.
func problems(validate func(func(key, problem string))) (all []string) {
	validate(func(key, problem string) { all = append(all, key+": "+problem) })
	return all
}

func TestValidate(t *testing.T) {
	a := tlstest.NewAuthority(t)
	one, other := a.Issue(time.Hour, "a"), a.Issue(time.Hour, "b")
	dir := t.TempDir()
	empty, huge := filepath.Join(dir, "empty"), filepath.Join(dir, "huge")
	for path, text := range map[string]string{empty: "", huge: strings.Repeat("x", maxFile+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l    Listener
		want string
	}{
		{Listener{}, ""},
		{Listener{Cert: one.Cert, Key: one.Key}, ""},
		{Listener{Cert: one.Cert, Key: one.Key, ClientCA: a.File}, ""},
		{Listener{Cert: one.Cert}, `cert: "` + one.Cert + `", want key as well: a certificate alone is no use`},
		{Listener{Key: one.Key}, `key: "` + one.Key + `", want cert as well: a key alone is no use`},
		{Listener{ClientCA: a.File}, `client_ca: "` + a.File + `", and there is no TLS without cert and key`},
		{Listener{Cert: one.Cert, Key: other.Key}, `cert: "` + one.Cert + `" and "` + other.Key + `" are no certificate with its key in PEM: tls: private key does not match public key`},
		{Listener{Cert: empty, Key: one.Key}, `cert: "` + empty + `" and "` + one.Key + `" are no certificate with its key in PEM: tls: failed to find any PEM data in certificate input`},
		{Listener{Cert: "/nobody", Key: one.Key}, `cert: "/nobody" is not there, want a PEM file: write it, or leave the key out`},
		{Listener{Cert: one.Cert, Key: dir}, `key: "` + dir + `" is no regular file, want a PEM file`},
		{Listener{Cert: one.Cert, Key: one.Key, ClientCA: empty}, `client_ca: "` + empty + `" holds no certificate in PEM`},
		{Listener{Cert: pipe, Key: one.Key}, `cert: "` + pipe + `" is no regular file, want a PEM file`},
		{Listener{Cert: huge, Key: one.Key}, `cert: "` + huge + `" has more than 1024 KiB, want a PEM file`},
	} {
		if got := strings.Join(problems(c.l.Validate), "\n"); got != c.want {
			t.Errorf("%+v\ngot  %s\nwant %s", c.l, got, c.want)
		}
	}
	for _, c := range []struct {
		u    Upstream
		want string
	}{
		{Upstream{}, ""},
		{Upstream{CA: a.File, ServerName: "x", Cert: one.Cert, Key: one.Key}, ""},
		{Upstream{CA: one.Key}, `ca: "` + one.Key + `" holds no certificate in PEM`},
		{Upstream{Key: one.Key}, `key: "` + one.Key + `", want cert as well: a key alone is no use`},
	} {
		if got := strings.Join(problems(c.u.Validate), "\n"); got != c.want {
			t.Errorf("%+v\ngot  %s\nwant %s", c.u, got, c.want)
		}
	}
}

// shown is the name in the certificate that a connection with the configuration shows.
func shown(t *testing.T, k *Kept) string {
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

// New files are used when two looks have found both; until then, and where they are no good, what was before stays in force,
// and each reason is told once.
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
			if early, err := k.refresh(); early || err != nil {
				t.Errorf("changed at the first look, %v", err)
			}
		}
		got, err := k.refresh()
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
	// One that is there between two looks only.
	replace(t, pair.Cert, a.File)
	refresh(false, "")
	replace(t, pair.Cert, next.Cert)
	refresh(false, "")
	refresh(false, "")
	is("second")
}

// Run looks at all, tells of those that changed, and ends with its context.
func TestRun(t *testing.T) {
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
		ended <- Run(ctx, []*Kept{still, k}, time.Millisecond, func(which *Kept, err error) {
			if which != k {
				t.Error("told of files that did not change")
			}
			told <- err
		})
	}()
	replace(t, pair.Cert, next.Cert)
	replace(t, pair.Key, next.Key)
	for err := range told { // between the two files there may have been a look
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

// An upstream's configuration trusts nobody but the authority, and wants the name of the URL or the configured one.
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
			t.Error("trusts others")
		}
	}
	if _, err := ForUpstream(&Upstream{CA: "/nobody"}, "x"); err == nil {
		t.Error("no error for a file that is not there")
	}
}
