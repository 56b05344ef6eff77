package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const unit = "systemd/tether.service"

// exposure is the highest acceptable score of systemd-analyze security, from 0 to 10. No service that serves the network
// scores below 1.
const exposure = 1.5

// analyze copies the unit with its drop-ins, lets it start the binary that was built here, and runs systemd-analyze on it.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("systemd")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(unit))
	text := strings.ReplaceAll(read(t, unit), "/usr/local/bin/tether", tether)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("systemd-analyze", append(args, path)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// systemd finds no unknown key in the unit, and no value that it would ignore.
func TestUnit(t *testing.T) {
	if out := analyze(t, "verify", "--man=no"); out != "" {
		t.Error(out)
	}
}

func TestUnitIsHardened(t *testing.T) {
	out := analyze(t, "security", "--offline=true", "--no-pager")
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+) `).FindStringSubmatch(out)
	if found == nil {
		t.Fatal(out)
	}
	level, err := strconv.ParseFloat(found[1], 64)
	if err != nil || level > exposure {
		t.Errorf("exposure %s, want at most %v\n%s", found[1], exposure, out)
	}
	t.Logf("exposure %s of 10", found[1])
}

// The unit agrees with tether's defaults: the time to stop, the descriptors, and the exit code that prevents a restart.
func TestUnitAgrees(t *testing.T) {
	value := func(key string) string {
		t.Helper()
		found := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(read(t, unit), -1)
		if len(found) != 1 {
			t.Fatalf("%d lines with %s=", len(found), key)
		}
		return found[0][1]
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(`upstreams: [{url: "http://10.0.0.1:8000"}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	s := check(t, config)
	grace, err := time.ParseDuration(strings.TrimSuffix(value("TimeoutStopSec"), "in"))
	if err != nil {
		t.Fatal(err)
	}
	longer(t, unit, grace, s.stopping())
	if files, err := strconv.Atoi(value("LimitNOFILE")); err != nil || files < 2*s.Proxy.MaxConnections {
		t.Errorf("%d descriptors (%v) for %d clients", files, err, s.Proxy.MaxConnections)
	}
	words := strings.Fields(strings.Replace(value("ExecStart"), "/usr/local/bin/tether", tether, 1))
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Args[len(cmd.Args)-1] = filepath.Join(t.TempDir(), "nowhere.yaml")
	out, _ := cmd.CombinedOutput()
	if code := strconv.Itoa(cmd.ProcessState.ExitCode()); code != value("RestartPreventExitStatus") {
		t.Errorf("without its configuration tether exits with %s: %s", code, out)
	}
}

// tether reads the files that the drop-in names.
func TestSecretsDropIn(t *testing.T) {
	dir := t.TempDir()
	var env []string
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(read(t, unit+".d/secrets.conf"), -1) {
		env = append(env, strings.ReplaceAll(line[1], "%d", dir))
	}
	for _, line := range regexp.MustCompile(`(?m)^LoadCredential=(\S+):`).FindAllStringSubmatch(read(t, unit+".d/secrets.conf"), -1) {
		if err := os.WriteFile(filepath.Join(dir, line[1]), []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := check(t, "compose/tether.yaml", env...)
	if s.Session.SecretFile != dir+"/session" || s.Admin.TokenFile != dir+"/admin-token" {
		t.Errorf("%+v", s)
	}
}
