// Package deploy checks the files in this folder: with the parsers of their consumers, with tether itself, and for
// agreement among them.
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

// tether is the path of the binary.
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

// settings has the parts of the effective configuration that the files here must agree with.
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
		Placement  string
		Return     string
		Max        int
		Store      struct {
			URL          string
			PasswordFile string `json:"password_file"`
			TLS          struct{ CA string }
		}
	}
	Proxy struct {
		MaxConnections  int      `json:"max_connections"`
		HeadTimeout     duration `json:"head_timeout"`
		IdleTimeout     duration `json:"idle_timeout"`
		ShutdownDelay   duration `json:"shutdown_delay"`
		ShutdownTimeout duration `json:"shutdown_timeout"`
	}
}

// stopping returns how long tether may take to stop.
func (s settings) stopping() time.Duration {
	return time.Duration(s.Proxy.ShutdownDelay + s.Proxy.ShutdownTimeout)
}

type duration time.Duration

// UnmarshalText parses a duration such as 5s or 10m.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// check runs tether check on a configuration, which must be valid, and returns the effective settings.
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

// longer fails if a grace period is not longer than the time needed, or implausibly longer.
func longer(t testing.TB, what string, grace, need time.Duration) {
	t.Helper()
	if grace <= need || grace > 2*need {
		t.Errorf("%s: %v to stop, but %v may be needed", what, grace, need)
	}
}

// shutdownTimeout returns vLLM's --shutdown-timeout from its arguments.
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
	t.Fatalf("no --shutdown-timeout in %q: vLLM would cut the requests in flight", args)
	return 0
}

// The configuration in the image lacks only upstreams.
func TestImageConfig(t *testing.T) {
	s := check(t, "image/config.yaml", "TETHER_UPSTREAMS=http://10.0.0.1:8000")
	if s.Listen != ":8080" || s.Admin.Listen != "0.0.0.0:8081" || s.Admin.TokenFile != "" {
		t.Errorf("%+v", s)
	}
}

// run runs a command and returns what it printed.
func run(t testing.TB, command string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	return string(out), err
}

// write writes a file for the test and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
