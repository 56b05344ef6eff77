package main

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// tree is the source that is counted.
type tree struct {
	dir       string
	packages  []*pkg // by path
	rootFiles int    // Go files of the root package
	functions []int  // lines of each function, ascending
}

// pkg is a package of the tree.
type pkg struct {
	path    string // the folder below the root, with slashes
	name    string
	files   []*ast.File
	lines   int
	names   int            // exported names: types, functions, methods, constants and variables
	methods map[string]int // methods of each type, exported or not
}

// read parses the tree in dir.
func read(dir string) (*tree, error) {
	t, fset := &tree{dir: dir}, token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && skipped(path, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return t.add(fset, path)
	})
	slices.SortFunc(t.packages, func(p, q *pkg) int { return cmp.Compare(p.path, q.path) })
	slices.Sort(t.functions)
	return t, err
}

// skipped reports whether a folder is not counted: it is hidden, holds data or tests alone, or is a module of its own.
func skipped(path, name string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil || strings.HasPrefix(name, ".") || name == "testdata" || name == "e2e"
}

// add parses and counts one file.
func (t *tree) add(fset *token.FileSet, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(fset, path, text, 0)
	if err != nil {
		return err
	}
	p, err := t.pkg(filepath.Dir(path), f.Name.Name)
	if err != nil {
		return err
	}
	if p.path == "." {
		t.rootFiles++
	}
	p.files = append(p.files, f)
	p.lines += bytes.Count(text, []byte("\n"))
	for _, d := range f.Decls {
		p.count(d)
		if d, is := d.(*ast.FuncDecl); is {
			t.functions = append(t.functions, fset.Position(d.End()).Line-fset.Position(d.Pos()).Line+1)
		}
	}
	return nil
}

// pkg is the package of the folder.
func (t *tree) pkg(dir, name string) (*pkg, error) {
	path, err := filepath.Rel(t.dir, dir)
	if err != nil {
		return nil, err
	}
	path = filepath.ToSlash(path)
	if i := slices.IndexFunc(t.packages, func(p *pkg) bool { return p.path == path }); i >= 0 {
		return t.packages[i], nil
	}
	p := &pkg{path: path, name: name, methods: map[string]int{}}
	t.packages = append(t.packages, p)
	return p, nil
}

// count counts the exported names and the methods of a declaration.
func (p *pkg) count(d ast.Decl) {
	for _, n := range names(d) {
		if n.IsExported() {
			p.names++
		}
	}
	if d, is := d.(*ast.FuncDecl); is && d.Recv != nil {
		p.methods[receiver(d.Recv.List[0].Type)]++
	}
}

// names are the names that a declaration declares. A method has its own name, without its type.
func names(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names = append(names, d.Name)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name)
			case *ast.ValueSpec:
				names = append(names, s.Names...)
			}
		}
	}
	return names
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// kind is a type and how many methods it has.
type kind struct {
	name    string
	methods int
}

// biggest is the type with the most methods.
func (p *pkg) biggest() (b kind) {
	for name, n := range p.methods {
		if n > b.methods || n == b.methods && name < b.name {
			b = kind{name, n}
		}
	}
	return b
}
