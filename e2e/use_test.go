package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/wire/wiretest"
)

// reader tries README's commands, in a folder with the files that they name and beside a tether that runs.
type reader struct {
	t           *testing.T
	folder      string
	urls        []string
	proxy       *binary.Tether
	name        string // of an upstream
	data, admin string // addresses of the processes that the commands start
}

func TestReadmeUse(t *testing.T) {
	tool(t, "make")
	tool(t, "curl")
	urls := servers(t, 2)
	r := &reader{t: t, folder: t.TempDir(), urls: urls, proxy: binary.Run(t, urls), name: strings.TrimPrefix(urls[0], "http://"), data: wiretest.FreeAddr(t), admin: wiretest.FreeAddr(t)}
	r.write("config.yaml", fmt.Sprintf("upstreams: [{url: %q}, {url: %q}]\n", urls[0], urls[1]))
	r.write("turn.http", "POST /v1/chat/completions HTTP/1.1\nHost: tether\n\n"+`{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}`)
	for _, line := range commands(t, "## Use it", "## What it is worth") {
		words := strings.Fields(r.here(line))
		switch {
		case line == "make build":
			r.succeeds(exec.Command("make", "-C", "..", "build"))
		case strings.HasPrefix(line, "bin/tether run"):
			r.serves(words[1:])
		case strings.HasPrefix(line, "docker run"): // this is the command in the container; e2e/image runs the image itself
			r.serves(inContainer(words))
		case asksAdmin(words) && !strings.Contains(line, " -c "):
			r.pin()
			r.succeeds(r.tether(append(words[1:], "--admin", r.proxy.Admin)...))
		case strings.HasPrefix(line, "bin/tether "):
			r.succeeds(r.tether(words[1:]...))
		case strings.HasPrefix(line, "head "), strings.HasPrefix(line, "echo "):
			r.shell(line)
		case strings.HasPrefix(line, "curl "):
			r.pin()
			curl(t, r.here(line))
		default:
			t.Errorf("no test runs %q", line)
		}
	}
	r.knows("alice.key", "keys.txt")
}

// shell runs a command that prints nothing.
// asksAdmin reports whether a command asks the admin listener of a running tether.
func asksAdmin(words []string) bool {
	return words[0] == "bin/tether" && slices.Contains([]string{"where", "top", "upstreams", "drain", "undrain", "sessions", "reload"}, words[1])
}

func (r *reader) shell(line string) {
	r.t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = r.folder
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		r.t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// knows checks that tether with the file keys accepts the key in the file key, and no other.
func (r *reader) knows(key, keys string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.folder, key))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("keyed.yaml", "auth: {keys_file: "+filepath.Join(r.folder, keys)+"}\n")
	p := binary.Run(r.t, r.urls, "-c", filepath.Join(r.folder, "keyed.yaml"))
	for bearer, want := range map[string]int{strings.TrimSpace(string(text)): 200, "another": 401} {
		req, _ := http.NewRequest("GET", p.URL+"/v1/models", nil)
		req.Header.Set("Authorization", "Bearer "+bearer)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			r.t.Errorf("%d, want %d", res.StatusCode, want)
		}
	}
}

// here puts the addresses and names of this test into a command.
func (r *reader) here(line string) string {
	return strings.NewReplacer(
		"http://10.0.0.1:8000", r.urls[0], "http://10.0.0.2:8000", r.urls[1], "127.0.0.1:8081", strings.TrimPrefix(r.proxy.Admin, "http://"),
		"NAME", r.name, " ID", " alice", "/ID", "/alice", "--model M", "--model tiny",
	).Replace(line)
}

// inContainer returns the command in the container of a docker run: the words after the name of the image, or the image's own.
func inContainer(words []string) []string {
	for i, word := range words {
		if word == "tether" && i < len(words)-1 {
			return words[i+1:]
		}
	}
	return []string{"run", "-c", "config.yaml"}
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// pin makes the session that the commands name.
func (r *reader) pin() {
	r.t.Helper()
	req, _ := http.NewRequest("POST", r.proxy.URL+"/v1/chat/completions", strings.NewReader(`{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}`))
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Session-Id": {"alice"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		r.t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

func (r *reader) tether(args ...string) *exec.Cmd {
	cmd := exec.Command(binary.Path(), args...)
	cmd.Dir = r.folder
	cmd.Env = append(os.Environ(), "TETHER_LISTEN="+r.data, "TETHER_ADMIN_LISTEN="+r.admin)
	return cmd
}

func (r *reader) succeeds(cmd *exec.Cmd) {
	r.t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
		r.t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// serves runs tether until it is ready, and interrupts it like Ctrl-C.
func (r *reader) serves(args []string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	cmd := r.tether(args...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for ready := false; !ready && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get("http://" + r.admin + "/readyz")
		if err == nil {
			res.Body.Close()
			ready = res.StatusCode == 200
		}
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil || ctx.Err() != nil {
		r.t.Errorf("%v: %v, %v", cmd.Args, err, ctx.Err())
	}
}
