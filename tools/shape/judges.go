package main

import (
	"go/ast"
	"go/token"
	"slices"
)

// kindTypes are the types whose constants are the kinds of a failed attempt. Trees before package failure had the last three.
var kindTypes = []string{"failure.Kind", "wire.Trouble", "upstream.Failure", "proxy.Result"}

// kinds are the constants of kindTypes, as other packages write them: failure.Refused.
type kinds map[string]bool

func (t *tree) kinds() kinds {
	k := kinds{}
	for _, p := range t.packages {
		for _, f := range p.files {
			for _, d := range f.Decls {
				if d, is := d.(*ast.GenDecl); is && d.Tok == token.CONST {
					k.add(p.name, d)
				}
			}
		}
	}
	return k
}

// add adds the constants of a declaration whose first one has a type of kindTypes.
func (k kinds) add(pkg string, d *ast.GenDecl) {
	first := d.Specs[0].(*ast.ValueSpec)
	if id, is := first.Type.(*ast.Ident); !is || !slices.Contains(kindTypes, pkg+"."+id.Name) {
		return
	}
	for _, s := range d.Specs {
		for _, n := range s.(*ast.ValueSpec).Names {
			k[pkg+"."+n.Name] = true
		}
	}
}

// judges lists the places that decide by the kind of a failure: each switch, chain of ifs or table that names two kinds or more
// in its cases, conditions or keys. A table of nothing but texts gives the kinds their words and decides nothing.
func (t *tree) judges() (places []string) {
	k := t.kinds()
	for _, p := range t.packages {
		for _, f := range p.files {
			for _, d := range f.Decls {
				for range k.judgesIn(p.name, d) {
					places = append(places, p.path+" "+declared(d))
				}
			}
		}
	}
	return places
}

// declared is the name that a declaration is found by.
func declared(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		if v, is := d.Specs[0].(*ast.ValueSpec); is {
			return v.Names[0].Name
		}
	}
	return "?"
}

// judgesIn counts the places in a declaration.
func (k kinds) judgesIn(pkg string, d ast.Decl) (n int) {
	inChain := map[ast.Node]bool{} // the ifs that were counted with the first if of their chain
	ast.Inspect(d, func(node ast.Node) bool {
		named := map[string]bool{}
		switch node := node.(type) {
		case *ast.SwitchStmt:
			for _, c := range node.Body.List {
				k.named(pkg, named, c.(*ast.CaseClause).List...)
			}
		case *ast.IfStmt:
			for s := node; s != nil && !inChain[s]; s, _ = s.Else.(*ast.IfStmt) {
				inChain[s] = true
				k.named(pkg, named, s.Cond)
			}
		case *ast.CompositeLit:
			if !onlyTexts(node) {
				k.named(pkg, named, keys(node)...)
			}
		}
		if len(named) > 1 {
			n++
		}
		return true
	})
	return n
}

// named adds the kinds that the expressions of package pkg name.
func (k kinds) named(pkg string, names map[string]bool, expressions ...ast.Expr) {
	for _, e := range expressions {
		ast.Inspect(e, func(n ast.Node) bool {
			name := ""
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, is := n.X.(*ast.Ident); is {
					name = x.Name + "." + n.Sel.Name
				}
			case *ast.Ident:
				name = pkg + "." + n.Name
			}
			if k[name] {
				names[name] = true
			}
			return !k[name]
		})
	}
}

func keys(l *ast.CompositeLit) (keys []ast.Expr) {
	for _, e := range l.Elts {
		if e, is := e.(*ast.KeyValueExpr); is {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// onlyTexts reports whether every value of a table is a text or a row of texts.
func onlyTexts(l *ast.CompositeLit) bool {
	for _, e := range l.Elts {
		if kv, is := e.(*ast.KeyValueExpr); is {
			e = kv.Value
		}
		switch e := e.(type) {
		case *ast.BasicLit:
			if e.Kind != token.STRING {
				return false
			}
		case *ast.CompositeLit:
			if !onlyTexts(e) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
