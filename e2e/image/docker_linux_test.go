package image

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The image is built and run, if a Docker engine answers.
func TestDocker(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds an image")
	}
	if out, err := docker(t, time.Minute, "info", "--format", "{{.OSType}}"); err != nil || out != "linux" {
		t.Skipf("the image is not built: no Docker engine answers (%s)", firstLine(out, err))
	}
	base := readSettings(t).base
	if _, err := docker(t, time.Minute, "image", "inspect", base); err != nil {
		if out, err := docker(t, 2*time.Minute, "pull", "--quiet", base); err != nil {
			t.Skipf("the image is not built: the engine cannot get %s (%s)", base, firstLine(out, err))
		}
	}
	image := fmt.Sprintf("tether-test-%d", time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	t.Cleanup(func() { _, _ = docker(t, time.Minute, "image", "rm", "--force", image+":test", image+":latest") })
	if out, err := exec.CommandContext(ctx, "make", "-C", "../..", "image", "IMAGE="+image, "VERSION=test").CombinedOutput(); err != nil {
		t.Fatalf("make image: %v\n%s", err, out)
	}
	d := engine{image + ":test"}
	d.testFiles(t)
	testPlace(t, d)
}

// docker runs a command of the engine's client and returns its output, or its error text. The command may outlive the test, to clean
// up.
func docker(t testing.TB, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		out = failed.Stderr
	}
	return strings.TrimSpace(string(out)), err
}

func firstLine(out string, err error) string {
	if out == "" && err != nil {
		out = err.Error()
	}
	lines := strings.Split(out, "\n")
	return lines[len(lines)-1]
}

// engine runs an image.
type engine struct{ image string }

// testFiles checks that the image has the assembled files and no others, except those that the engine adds to every container.
func (e engine) testFiles(t *testing.T) {
	id, err := docker(t, time.Minute, "create", e.image)
	if err != nil {
		t.Fatal(id)
	}
	defer func() { _, _ = docker(t, time.Minute, "rm", id) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", `docker export "$0" | tar -t`, id).Output()
	if err != nil {
		t.Fatal(err)
	}
	engines := []string{".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}
	var found []string
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if !strings.HasSuffix(name, "/") && !strings.HasPrefix(name, "dev/") && !slices.Contains(engines, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	if want := []string{bundle, file, binary}; !slices.Equal(found, want) {
		t.Errorf("the image has %q, want %q", found, want)
	}
}

// start runs a container on the host's network, with a read-only root as in a cluster.
func (e engine) start(t testing.TB, env, args []string, mounted string) process {
	t.Helper()
	words := []string{"run", "--detach", "--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	for _, pair := range env {
		words = append(words, "--env", pair)
	}
	if mounted != "" {
		words = append(words, "--volume", mounted+":/"+file+":ro")
	}
	id, err := docker(t, time.Minute, append(append(words, e.image), args...)...)
	if err != nil {
		t.Fatal(id)
	}
	t.Cleanup(func() { _, _ = docker(t, time.Minute, "rm", "--force", id) })
	return container{t, id}
}

type container struct {
	t  testing.TB
	id string
}

// health returns the result of the engine's own health check.
func (c container) health() error {
	out, err := docker(c.t, patience, "inspect", "--format", "{{.State.Health.Status}} {{json .State.Health.Log}}", c.id)
	if err == nil && !strings.HasPrefix(out, "healthy ") {
		err = fmt.Errorf("%s", out)
	}
	return err
}

func (c container) wait() (int, string) {
	out, err := docker(c.t, patience, "wait", c.id)
	if err != nil {
		c.t.Fatal(out)
	}
	code, err := strconv.Atoi(out)
	if err != nil {
		c.t.Fatal(out)
	}
	said, _ := exec.Command("docker", "logs", c.id).CombinedOutput()
	return code, string(said)
}

func (c container) terminate() { _, _ = docker(c.t, time.Minute, "stop", "--time", "20", c.id) }
