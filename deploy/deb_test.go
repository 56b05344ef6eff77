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

// The package is installed by dpkg into a root of its own, its binary runs there with the installed configuration, and systemd accepts its
// unit. An upgrade keeps what the operator has written into the configuration; a removal leaves it, and a purge does not.
func TestDebianPackageIsInstalled(t *testing.T) {
	for _, tool := range []string{"dpkg", "dpkg-deb", "chroot", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	if os.Getuid() != 0 {
		t.Skip("dpkg installs for root alone")
	}
	build := func(version string) string {
		t.Helper()
		if out, err := run(t, "make", "-C", "..", "deb", "VERSION="+version); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return filepath.Join("../bin", "tether_"+strings.TrimPrefix(version, "v")+"_"+runtime.GOARCH+".deb")
	}
	root := emptyRoot(t)
	dpkg := func(args ...string) {
		t.Helper()
		if out, err := run(t, "dpkg", append([]string{"--root=" + root, "--log=" + filepath.Join(root, "log")}, args...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	dpkg("--install", build("v1.2.3"))
	if out, err := run(t, "chroot", root, "/usr/bin/tether", "version"); err != nil || !strings.Contains(out, "v1.2.3") {
		t.Errorf("%v, %s", err, out)
	}
	config := filepath.Join(root, "etc/tether/config.yaml")
	text := strings.Replace(read(t, config), "upstreams: []", "upstreams: [{url: \"http://127.0.0.1:8000\"}]", 1)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "chroot", root, "/usr/bin/tether", "check", "-c", "/etc/tether/config.yaml"); err != nil || !strings.Contains(out, "127.0.0.1:8000") {
		t.Errorf("%v, %s", err, out)
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil { // with the binary where this root has it, because systemd's own units are outside
		installed := strings.ReplaceAll(read(t, filepath.Join(root, "usr/lib/systemd/system/tether.service")), "/usr/bin/tether", root+"/usr/bin/tether")
		file := filepath.Join(t.TempDir(), "tether.service")
		if err := os.WriteFile(file, []byte(installed), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, "systemd-analyze", "verify", "--man=no", file); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	dpkg("--install", build("v1.2.4"))
	if out, err := run(t, "chroot", root, "/usr/bin/tether", "version"); err != nil || !strings.Contains(out, "v1.2.4") || read(t, config) != text {
		t.Errorf("upgraded: %v, %s\n%s", err, out, read(t, config))
	}
	dpkg("--remove", "tether")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/tether")); err == nil || read(t, config) != text {
		t.Error("the binary is still there, or the configuration is not")
	}
	dpkg("--purge", "tether")
	if _, err := os.Stat(config); err == nil {
		t.Error("the configuration is still there")
	}
}

// emptyRoot returns a folder that is enough of a system for dpkg: its database, and a shell with its libraries for the scripts.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/dpkg/triggers", "bin", "usr/bin", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	libraries, err := run(t, "ldd", "/bin/sh")
	if err != nil {
		t.Skipf("no libraries of the shell: %v %s", err, libraries)
	}
	files := append(strings.Fields(libraries), "/bin/sh")
	for _, file := range files {
		if !strings.HasPrefix(file, "/") {
			continue
		}
		if out, err := run(t, "cp", "--parents", "--dereference", file, root); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	return root
}
