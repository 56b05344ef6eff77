package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretFile writes a file and returns its path.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A key that cannot be sent is a problem, whose text does not show the key.
func TestUnfitKeys(t *testing.T) {
	for _, text := range []string{"hunter2 x", "hunter2\nx", "hunter2\r\nX-Evil: 1", "hunter2\x00", "hunter2\x7f", "hunter2\tx", "hünter2", "hunter2\xff", strings.Repeat("hunter2", 586)} {
		path := secretFile(t, text)
		_, err := load(t, "upstreams:\n  - url: http://a\n    api_key_file: "+path)
		want := `c.yaml:3: upstreams[0].api_key_file: "` + path + `" holds what cannot be sent as a key, want a file with 1..4096 bytes of visible ASCII on one line`
		if got := problemsOf(err); got != want {
			t.Errorf("%.20q\ngot  %s\nwant %s", text, got, want)
		}
	}
	if _, err := load(t, `upstreams: [{url: "http://a", api_key_file: `+secretFile(t, strings.Repeat("k", 4096))+`}]`); err != nil {
		t.Error(err)
	}
}
