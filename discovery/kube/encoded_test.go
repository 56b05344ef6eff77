package kube

import (
	"path/filepath"
	"testing"
)

func TestEncoded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "from file")
	for _, c := range []struct {
		data       encoded
		file, want string
	}{
		{"ZGF0YQ==", "file", "data"},
		{"", "file", "from file"},
		{"", filepath.Join(dir, "file"), "from file"},
		{"", "", ""},
	} {
		if got, err := c.data.or(dir, c.file, "a test"); string(got) != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}
