package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// document returns the text of a document.
func document(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The documents name only tests and fuzz targets that exist.
func TestDocumentsNameTests(t *testing.T) {
	existing := testNames(t)
	for _, file := range []string{"docs/OPERATIONS.md", "docs/RELIABILITY.md", "docs/SECURITY.md"} {
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(document(t, file), -1)
		if len(named) < 10 {
			t.Errorf("%s names only %d tests: is it complete?", file, len(named))
		}
		for _, name := range named {
			if !existing[name] {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, is := decl.(*ast.FuncDecl); is && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The table of limits names keys with the defaults of config.example.yaml, existing metrics, and existing reasons. It has
// every reason of a 408, 413, 429 or 431.
func TestLimitsAreDocumented(t *testing.T) {
	_, table, found := strings.Cut(document(t, "docs/OPERATIONS.md"), "\n## Limits\n")
	table, _, ends := strings.Cut(table, "\n- An address")
	if !found || !ends {
		t.Fatal("docs/OPERATIONS.md has no table of limits")
	}
	example, metrics := document(t, "config.example.yaml"), document(t, "docs/METRICS.md")
	for _, m := range regexp.MustCompile("`proxy\\.(\\w+: [^`]+)`").FindAllStringSubmatch(table, -1) {
		if !strings.Contains(example, "\n  "+m[1]+"\n") {
			t.Errorf("config.example.yaml does not have the default %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`tether_\w+`).FindAllString(table, -1) {
		if !strings.Contains(metrics, "`"+m+"`") {
			t.Errorf("there is no metric %s", m)
		}
	}
	faults := document(t, "proxy/errors.go")
	for _, m := range regexp.MustCompile(`reason="(\w+)"`).FindAllStringSubmatch(table, -1) {
		if !strings.Contains(faults, `reason: "`+m[1]+`"`) {
			t.Errorf("tether has no reason %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`status: (?:408|413|429|431),.*reason: "(\w+)"`).FindAllStringSubmatch(faults, -1) {
		if !strings.Contains(table, `reason="`+m[1]+`"`) {
			t.Errorf("the table of limits lacks the reason %s", m[1])
		}
	}
}
