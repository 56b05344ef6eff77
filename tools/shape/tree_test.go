package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// write puts files into a folder of their own.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readFiles(t *testing.T, files map[string]string) *tree {
	t.Helper()
	tr, err := read(write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestRead(t *testing.T) {
	tr := readFiles(t, map[string]string{
		"main.go":         "package main\n\nfunc main() {\n}\n",
		"main_test.go":    "package main\n\nfunc Test() {}\n",
		"a/a.go":          "package a\n\ntype A struct{ Field int }\n\nfunc (a *A) One() {}\nfunc (a A) two() {}\n\nconst B, c = 1, 2\n",
		"a/b.go":          "package a\n\nvar D = func() {}\n\nfunc E() {}\n\ntype g[T any] struct{}\n\nfunc (g[T]) H() {}\n",
		"e2e/e.go":        "package e2e\n\nvar E int\n",
		"a/testdata/x.go": "no Go",
		"other/go.mod":    "module other\n",
		"other/o.go":      "package other\n\nvar O int\n",
	})
	if len(tr.packages) != 2 || tr.rootFiles != 1 || !slices.Equal(tr.functions, []int{1, 1, 1, 1, 2}) {
		t.Fatalf("%d packages, %d files in the root, functions of %v lines", len(tr.packages), tr.rootFiles, tr.functions)
	}
	a := tr.packages[1]
	if a.path != "a" || len(a.files) != 2 || a.lines != 17 || a.names != 6 || a.biggest() != (kind{"A", 2}) {
		t.Errorf("%s: %d files, %d lines, %d exported names, %v", a.path, len(a.files), a.lines, a.names, a.biggest())
	}
}

func TestReadFails(t *testing.T) {
	if _, err := read(write(t, map[string]string{"a.go": "no Go"})); err == nil {
		t.Error("a file that is not Go is no error")
	}
}
