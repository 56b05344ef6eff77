package tlsfiles

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
)

// problems returns what Validate reports, one line each, in the order of the reports.
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
