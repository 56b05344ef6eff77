// Package deploy checks the files in this folder: by the readers of those who will read them, by tether itself, and
// for what must agree between them.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// tether is the binary.
var tether string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tether-deploy")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		tether = filepath.Join(dir, "tether")
		build := exec.Command("go", "build", "-trimpath", "-o", tether, ".")
		build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// settings are what tether makes of a configuration, as far as the files here must agree with it.
type settings struct {
	Listen string
	Admin  struct {
		Listen    string
		TokenFile string `json:"token_file"`
	}
	Upstreams []struct {
		Name, URL string
		Slot      int
	}
	Session struct {
		SecretFile string `json:"secret_file"`
	}
	Proxy struct {
		MaxConnections  int      `json:"max_connections"`
		ShutdownDelay   duration `json:"shutdown_delay"`
		ShutdownTimeout duration `json:"shutdown_timeout"`
	}
}

// stopping is how long tether may take to stop.
func (s settings) stopping() time.Duration {
	return time.Duration(s.Proxy.ShutdownDelay + s.Proxy.ShutdownTimeout)
}

type duration time.Duration

// UnmarshalText reads 5s or 10m.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// check runs tether check over a configuration, which must pass, and gives what is in force.
func check(t testing.TB, file string, env ...string) (s settings) {
	t.Helper()
	cmd := exec.Command(tether, "check", "-c", file)
	cmd.Env = append(os.Environ(), env...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tether check: %v\n%s", err, complaints.String())
	}
	if err := yaml.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// longer fails where a time to stop is not longer than what it is for, or so much that nobody meant it.
func longer(t testing.TB, what string, grace, need time.Duration) {
	t.Helper()
	if grace <= need || grace > 2*need {
		t.Errorf("%s: %v to stop, which may take %v", what, grace, need)
	}
}

// shutdownTimeout is vLLM's, from its arguments.
func shutdownTimeout(t testing.TB, args []string) time.Duration {
	t.Helper()
	for _, a := range args {
		if seconds, is := strings.CutPrefix(a, "--shutdown-timeout="); is {
			d, err := time.ParseDuration(seconds + "s")
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatalf("no --shutdown-timeout in %q: vLLM would cut what is in flight", args)
	return 0
}

// The configuration in the image lacks upstreams and nothing else.
func TestImageConfig(t *testing.T) {
	s := check(t, "image/config.yaml", "TETHER_UPSTREAMS=http://10.0.0.1:8000")
	if s.Listen != ":8080" || s.Admin.Listen != "0.0.0.0:8081" || s.Admin.TokenFile != "" {
		t.Errorf("%+v", s)
	}
}
