package identity

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is broken inside a value that the scan goes down to hides nothing behind it.
func TestBrokenInside(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, value := range []string{
		`[{"role" "user"},{x}]`, `[{"role":"user","content":}]`, `[{"role":"user","content":[{"text" 1},,]},]`, `[{,}]`, `[,]`, `[1 2]`,
		`[{"role":"user","content":["a" "b"]}]`, `[{"role":["user"],"content":{"text":"a"}}]`, `[["user"]]`, `{"role":"user"}`, `[:]`,
	} {
		got, s := request{body: `{"messages":` + value + `,"session_id":"b"}`, shape: Chat}.identify(id)
		if !s.IsJSON || got.Source.String() != "body:session_id" {
			t.Errorf("%s: source %v, JSON %v", value, got.Source, s.IsJSON)
		}
	}
}

// A body has one scan, so that a scan that never goes back means one pass. By themselves are scanned: the claims of a
// caller's token, and the session in a user id, which is JSON in a string.
func TestOneScan(t *testing.T) {
	made := map[string][]string{} // functions that make a scan, or call members
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	scanners, err := filepath.Glob("../../jsonscan/*.go")
	if err != nil || len(scanners) == 0 {
		t.Fatal("no jsonscan", err)
	}
	for _, path := range append(own, scanners...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				for _, x := range makes(n) {
					if of, is := x.(*ast.SelectorExpr); is {
						x = of.Sel
					}
					if id, is := x.(*ast.Ident); is && (id.Name == "Scanner" || id.Name == "Members") {
						made[id.Name] = append(made[id.Name], f.Name.Name)
					}
				}
				return true
			})
		}
	}
	want := map[string][]string{"Scanner": {"Members"}, "Members": {"identityIn", "sessionPart"}}
	for _, functions := range made {
		slices.Sort(functions)
	}
	if !maps.EqualFunc(made, want, slices.Equal) {
		t.Errorf("scans are made in %v, want %v", made, want)
	}
}

// makes are the types that a node makes a value of, and the functions that it calls.
func makes(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CompositeLit:
		return []ast.Expr{n.Type}
	case *ast.ValueSpec:
		return []ast.Expr{n.Type}
	case *ast.CallExpr:
		if f, is := n.Fun.(*ast.Ident); is && f.Name == "new" {
			return n.Args
		}
		return []ast.Expr{n.Fun}
	}
	return nil
}
