package peers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
)

// Each peer that is installed starts, forwards a request, and is gone after Stop, with its children and its files.
func TestPeers(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"bench"}],"choices":[]}`)
	}))
	defer upstream.Close()
	for _, name := range Names() {
		p, err := Find(name)
		if errors.Is(err, ErrAbsent) {
			t.Logf("%s is skipped: %v", name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Start(context.Background(), World{Upstreams: []string{strings.TrimPrefix(upstream.URL, "http://")}, Connections: 100})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		awaitAnswer(t, r)
		if _, err := r.Usage(); err != nil {
			t.Error(err)
		}
		if rss := r.RSS(); rss < 1<<20 || rss > 1<<30 {
			t.Errorf("%s has %d bytes of memory", name, rss)
		}
		pids := r.Tree()
		r.Stop()
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); err == nil {
				t.Errorf("process %d of %s still runs", pid, name)
			}
		}
		if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
			t.Errorf("%s: the folder remains: %v", name, err)
		}
	}
}

// awaitAnswer returns when a peer has forwarded a request.
func awaitAnswer(t *testing.T, r *Process) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Post("http://"+r.Addr+r.Prefix+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"bench","messages":[{"role":"user","content":"x"}]}`))
		if err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v\n%s", r.Name, err, r.Log())
		}
	}
}

// What a process uses is that of its children too, and a process that ends at once is an error with its words.
func TestProcess(t *testing.T) {
	p := Peer{Name: "script", Binary: "/bin/sh", command: func(binary string, w World) ([]string, error) {
		return []string{binary, "-c", "echo no such luck >&2; exit 3"}, nil
	}}
	if _, err := p.Start(context.Background(), World{}); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("got %v", err)
	}
	cmd := exec.Command("/bin/sh", "-c", "(while :; do :; done) & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // its error is the signal
	}()
	r := &Process{PID: cmd.Process.Pid}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if u, err := r.Usage(); err != nil {
			t.Fatal(err)
		} else if u.CPU >= 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the child's time is not counted")
		}
	}
}

// Each peer's command line or file names every upstream, and TLS names the certificate.
func TestConfigurations(t *testing.T) {
	pair := tlstest.NewAuthority(t).Issue(time.Hour, "localhost")
	for _, k := range append(slices.Clone(known), kind{Peer: Tether("tether", "", ""), name: "tether"}) {
		w := World{Addr: "127.0.0.1:1", Admin: "127.0.0.1:4", Upstreams: []string{"127.0.0.1:2", "127.0.0.1:3"}, Dir: t.TempDir(), Connections: 10}
		if k.TLS {
			w.Cert, w.Key = pair.Cert, pair.Key
		}
		args, err := k.command("program", w)
		if err != nil || args[0] != "program" {
			t.Errorf("%s: %q, %v", k.name, args, err)
		}
		said := strings.Join(args, " ")
		files, _ := filepath.Glob(filepath.Join(w.Dir, "*"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said += string(text)
		}
		for _, want := range w.Upstreams {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not know the upstream %s", k.name, want)
			}
		}
		if k.TLS && !strings.Contains(said, pair.Cert) && !strings.Contains(said, "BEGIN CERTIFICATE") {
			t.Errorf("%s does not know the certificate", k.name)
		}
	}
}

// The log of a process names its engine, and a wanted engine is in its environment.
func TestRunningEngine(t *testing.T) {
	p := Tether("tether", "/bin/sh", "epoll")
	p.command = func(binary string, w World) ([]string, error) {
		return []string{binary, "-c", `echo "{\"engine\":\"$TETHER_PROXY_ENGINE\"}"; exit 3`}, nil
	}
	_, err := p.Start(context.Background(), World{})
	if err == nil {
		t.Fatal("a process that ends at once is no error")
	}
	r := new(Process)
	if got := r.RunningEngine(); got != "" {
		t.Errorf("a process that said nothing runs %s", got)
	}
	fmt.Fprint(&r.log, err)
	if got := r.RunningEngine(); got != "epoll" {
		t.Errorf("%v: the engine is %q", err, got)
	}
}
