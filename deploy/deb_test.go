package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The Debian package has the binary, a unit that starts it, and a configuration that is kept and that names what is missing.
func TestDebianPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	if out, err := run(t, "make", "-C", "..", "deb", "VERSION=v1.2.3-4-gabcdef0"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join("../bin", "tether_1.2.3+4-gabcdef0_"+runtime.GOARCH+".deb")
	dir := t.TempDir()
	for _, args := range [][]string{{"-x", file, dir}, {"-e", file, filepath.Join(dir, "DEBIAN")}} {
		if out, err := run(t, "dpkg-deb", args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	control := read(t, filepath.Join(dir, "DEBIAN/control"))
	for _, line := range []string{"Package: tether", "Version: 1.2.3+4-gabcdef0", "Architecture: " + runtime.GOARCH} {
		if !strings.Contains(control, line+"\n") {
			t.Errorf("no %s in\n%s", line, control)
		}
	}
	if got := read(t, filepath.Join(dir, "DEBIAN/conffiles")); got != "/etc/tether/config.yaml\n" {
		t.Errorf("configuration files %q", got)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if out, err := run(t, "sh", "-n", filepath.Join(dir, "DEBIAN", script)); err != nil {
			t.Errorf("%s: %v %s", script, err, out)
		}
	}
	binary := filepath.Join(dir, "usr/bin/tether")
	if !strings.Contains(read(t, binary), "v1.2.3-4-gabcdef0") {
		t.Error("the binary has another version")
	}
	config := filepath.Join(dir, "etc/tether/config.yaml")
	if out, err := run(t, binary, "check", "-c", config); err == nil || !strings.Contains(out, "upstreams: none, want at least one") {
		t.Errorf("%v, %s", err, out)
	}
	text := read(t, config)
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(strings.Replace(text, "upstreams: []", "upstreams:", 1), "#  - {", "  - {")), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := check(t, config); len(s.Upstreams) != 2 {
		t.Errorf("%+v", s)
	}
	start := strings.ReplaceAll(read(t, unit), "/usr/local/bin/tether", "/usr/bin/tether")
	if got := read(t, filepath.Join(dir, "usr/lib/systemd/system/tether.service")); got != start {
		t.Errorf("the unit is\n%s", got)
	}
}
