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

// document reads one of those that promise something.
func document(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Tests and fuzz targets that the documents name are there.
func TestDocumentsNameTests(t *testing.T) {
	there := testNames(t)
	for _, file := range []string{"docs/OPERATIONS.md", "docs/SECURITY.md"} {
		named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`).FindAllString(document(t, file), -1)
		if len(named) < 10 {
			t.Errorf("%s names %d tests: is it whole?", file, len(named))
		}
		for _, name := range named {
			if !there[name] {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
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
				there[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// The table of limits names keys with their defaults, as config.example.yaml has them, reasons that tether gives, and
// metrics that there are; and every reason of a 408, 413, 429 or 431 is in it.
func TestLimitsAreDocumented(t *testing.T) {
	_, table, found := strings.Cut(document(t, "docs/OPERATIONS.md"), "\n## Limits\n")
	table, _, ends := strings.Cut(table, "\n- An address")
	if !found || !ends {
		t.Fatal("docs/OPERATIONS.md has no limits")
	}
	example, metrics := document(t, "config.example.yaml"), document(t, "docs/METRICS.md")
	for _, m := range regexp.MustCompile("`proxy\\.(\\w+: [^`]+)`").FindAllStringSubmatch(table, -1) {
		if !strings.Contains(example, "\n  "+m[1]+"\n") {
			t.Errorf("%s is no default of config.example.yaml", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`tether_\w+`).FindAllString(table, -1) {
		if !strings.Contains(metrics, "`"+m+"`") {
			t.Errorf("%s is no metric", m)
		}
	}
	faults := document(t, "proxy/errors.go")
	for _, m := range regexp.MustCompile(`reason="(\w+)"`).FindAllStringSubmatch(table, -1) {
		if !strings.Contains(faults, `reason: "`+m[1]+`"`) {
			t.Errorf("%s is no reason that tether gives", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`status: (?:408|413|429|431),.*reason: "(\w+)"`).FindAllStringSubmatch(faults, -1) {
		if !strings.Contains(table, `reason="`+m[1]+`"`) {
			t.Errorf("the limits lack %s", m[1])
		}
	}
}
