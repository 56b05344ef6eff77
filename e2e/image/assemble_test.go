// Package image runs the files of the container image: in an empty root by chroot and, if a Docker engine answers, the image
// itself.
package image

import (
	"crypto/x509"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files of the image.
const (
	binary = "tether"
	bundle = "etc/ssl/certs/ca-certificates.crt"
	file   = "etc/tether/config.yaml"
)

// assemble runs make image-root and returns the folder that it made.
func assemble(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	dir := filepath.Join(t.TempDir(), "root")
	cmd := exec.Command("make", "-C", "../..", "image-root", "IMAGE_ROOT="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "no CA certificates found") {
			t.Skip("this host has no CA certificates to assemble the image with")
		}
		t.Fatalf("make image-root: %v\n%s", err, out)
	}
	return dir
}

func TestFiles(t *testing.T) {
	dir := assemble(t)
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found = append(found, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{bundle, file, binary}; !slices.Equal(found, want) {
		t.Errorf("the image has %q, want %q", found, want)
	}
	if b, err := elf.Open(filepath.Join(dir, binary)); err == nil { // on macOS it is not ELF
		defer b.Close()
		if libs, err := b.ImportedLibraries(); err != nil || len(libs) > 0 {
			t.Errorf("tether needs %q, %v: it is not static", libs, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, bundle))
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Error("no certificate in the bundle")
	}
}
