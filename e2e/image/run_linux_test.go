package image

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/wire/wiretest"
)

// patience bounds every wait of these tests. None is expected to take that long.
const patience = 30 * time.Second

// place is where the commands of the image run: an empty root, or containers.
type place interface {
	// start runs the image with additional variables. args, unless nil, replace its own arguments. mounted, unless empty, is a file
	// that is mounted over its configuration.
	start(t testing.TB, env, args []string, mounted string) process
}

// process is a running command of the image.
type process interface {
	// health runs the image's health check beside it.
	health() error
	// wait waits for its end, and returns its exit code and its output.
	wait() (code int, said string)
	// terminate sends the stop signal of the image.
	terminate()
}

// testPlace runs the image in a place, once for each way to configure its upstreams.
func testPlace(t *testing.T, p place) {
	t.Run("unconfigured", func(t *testing.T) {
		code, said := p.start(t, nil, nil, "").wait()
		if want := "TETHER_UPSTREAMS, or upstreams: in /etc/tether/config.yaml"; code != 2 || !strings.Contains(said, want) {
			t.Errorf("exit %d; want %q in %s", code, want, said)
		}
	})
	t.Run("check", func(t *testing.T) {
		code, said := p.start(t, []string{"TETHER_UPSTREAMS=http://10.0.0.1:8000"}, []string{"check"}, "").wait()
		ports := readSettings(t).expose
		for _, want := range []string{"listen: :" + ports[0] + "\n", "\n  listen: 0.0.0.0:" + ports[1] + "\n", "url: http://10.0.0.1:8000\n"} {
			if code != 0 || !strings.Contains(said, want) {
				t.Errorf("exit %d; want %q in %s", code, want, said)
			}
		}
	})
	s := sim.New(sim.Config{Name: "vllm-0"})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	mounted := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("upstreams: [{url: %q}]\nadmin: {listen: \"0.0.0.0:1\"}", s.URL())
	if err := os.WriteFile(mounted, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		env, args []string
		mounted   string
	}{
		{name: "variable", env: []string{"TETHER_UPSTREAMS=" + s.URL()}},
		{name: "flag", args: []string{"run", "--upstream", s.URL()}},
		{name: "mounted file", mounted: mounted},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, admin := freePort(t), freePort(t)
			env := append(c.env, "TETHER_LISTEN=127.0.0.1:"+data, "TETHER_ADMIN_LISTEN=0.0.0.0:"+admin, "TETHER_PROXY_SHUTDOWN_DELAY=50ms")
			testLife(t, p.start(t, env, c.args, c.mounted), "http://127.0.0.1:"+data, "http://127.0.0.1:"+admin)
		})
	}
}

// testLife follows a running image from its start to its end.
func testLife(t *testing.T, p process, data, admin string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for err := p.health(); err != nil; err = p.health() {
		if ctx.Err() != nil {
			t.Fatalf("never healthy: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	status, text := ask(ctx, t, http.MethodPost, data+"/v1/chat/completions", `{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}`)
	if status != 200 || !strings.Contains(text, `"choices"`) {
		t.Errorf("a chat: %d %s", status, text)
	}
	if status, text := ask(ctx, t, http.MethodGet, admin+"/api/upstreams", ""); status != 403 {
		t.Errorf("the protected part of the admin API on all addresses answers %d %s", status, text)
	}
	p.terminate()
	code, said := p.wait()
	if code != 0 || !strings.Contains(said, `"msg":"stopped"`) {
		t.Errorf("after SIGTERM: exit %d\n%s", code, said)
	}
}

func ask(ctx context.Context, t testing.TB, method, url, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

func freePort(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(wiretest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
