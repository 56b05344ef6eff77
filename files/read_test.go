package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const kib = 1 << 10

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	full, huge, link, pipe := filepath.Join(dir, "full"), filepath.Join(dir, "huge"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	write(t, full, strings.Repeat("x", kib))
	write(t, huge, strings.Repeat("x", kib+1))
	for _, err := range []error{os.Symlink(full, link), syscall.Mkfifo(pipe, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		full: "", link: "",
		huge:                       "has more than 1 KiB, want a test",
		dir:                        "is no regular file, want a test",
		pipe:                       "is no regular file, want a test",
		filepath.Join(dir, "none"): "is not there, want a test: write it, or leave the key out",
		"\x00":                     "cannot be read: invalid argument, want a test",
	} {
		text, err := Read(file, "a test", kib)
		var told *Error
		switch {
		case want == "":
			if len(text) != kib || err != nil {
				t.Errorf("%q: %d bytes, %v", file, len(text), err)
			}
		case !errors.As(err, &told) || told.Path != file || told.Problem != want || err.Error() != fmt.Sprintf("%q %s", file, want):
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
}

// A pipe is read up to the limit.
func TestReadOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for size, ok := range map[int]bool{5: true, kib + 1: false} {
		go func() {
			if err := os.WriteFile(pipe, []byte(strings.Repeat("x", size)), 0); err != nil && ok {
				t.Error(err)
			}
		}()
		if text, err := ReadOnce(pipe, "a test", kib); (err == nil) != ok || ok && len(text) != size {
			t.Errorf("%d: %d bytes, %v", size, len(text), err)
		}
	}
}
