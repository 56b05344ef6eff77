package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tether/config"
)

// Each key either changes while tether runs or needs a restart, and then says so (config.Config.NeedRestart). A key that a part gets once, at the
// start, would stay for good. So only these functions may read other keys than those that need a restart.
func TestKeysThatAreReadOnceNeedARestart(t *testing.T) {
	allowed := map[string]string{
		"open":                              "makes the settings of each configuration",
		"openCertificates":                  "makes the settings of each configuration",
		"limitConnections":                  "makes the settings of each configuration",
		"proxy":                             "makes what apply gives the proxy",
		"apply":                             "brings each configuration into force",
		"applyListeners":                    "brings each configuration into force",
		"loadAndApply":                      "brings each configuration into force",
		"withFound":                         "runs for each configuration, and each change of upstreams",
		"Find":                              "is no part of a running tether",
		"warnOfDescriptors":                 "logs the settings that it is given",
		"announce":                          "logs the settings of the start",
		"adminOpenTo":                       "logs the settings of the start",
		"tlsForClients":                     "logs the settings of the start",
		"upstreamsWithKey":                  "logs the settings of the start",
		"serveOperators":                    "reads the settings in force, but for admin.listen",
		"stop":                              "reads the settings in force",
		"leave":                             "reads the settings in force",
		"finish":                            "reads the settings in force",
		"findFirst discovery":               "loadAndApply starts other sources",
		"start discovery":                   "compares a source that runs with its keys",
		"build log.access":                  "apply sets it",
		"newGraph session.ttl":              "apply sets it",
		"newGraph models":                   "apply sets it",
		"newGraph session":                  "apply sets it",
		"listen proxy.client_write_timeout": "applyListeners sets it",
	}
	fixed := config.Default().Fixed()
	used := map[string]bool{}
	for _, r := range keysRead(t) {
		entry := r.function + " " + r.key
		used[r.function], used[entry] = true, true
		if allowed[r.function]+allowed[entry] != "" || fixed[r.key] != "" {
			continue
		}
		if r.key != "tracing" && r.key != "session.store" { // each key below these needs a restart
			t.Errorf("%s reads %s once: let apply bring other values into force, or let the key need a restart", r.function, r.key)
		}
	}
	for entry := range allowed {
		if !used[entry] {
			t.Errorf("%s is not needed in the list", entry)
		}
	}
}

// read is a key of the configuration that a function reads.
type read struct{ function, key string }

// keysRead returns the keys that the functions of this package read: chains of fields that begin with one of config.Config.
func keysRead(t *testing.T) (all []read) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %d files", err, len(names))
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Body != nil {
				ast.Inspect(f.Body, func(n ast.Node) bool {
					chain := chainOf(n)
					if key := keyOf(reflect.TypeFor[config.Config](), chain); key != "" {
						all = append(all, read{f.Name.Name, key})
						return false
					}
					return true
				})
			}
		}
	}
	return all
}

// chainOf returns the names A, B, C of the fields in an expression x.A.B.C, if x is a configuration or settings by its name or by the settings in
// force; nil otherwise.
func chainOf(n ast.Node) (names []string) {
	s, is := n.(*ast.SelectorExpr)
	for is {
		names = append([]string{s.Sel.Name}, names...)
		n = s.X
		s, is = n.(*ast.SelectorExpr)
	}
	switch x := n.(type) {
	case *ast.Ident:
		if slices.Contains([]string{"s", "cfg", "next", "before"}, x.Name) {
			return names
		}
	case *ast.CallExpr:
		if f, is := x.Fun.(*ast.SelectorExpr); is && f.Sel.Name == "Load" {
			return names
		}
	}
	return nil
}

// keyOf returns the key that a chain of fields names, or the beginning of one, "" for none.
func keyOf(config reflect.Type, chain []string) string {
	if len(chain) == 0 {
		return ""
	}
	if f, is := config.FieldByName(chain[0]); is && f.Tag.Get("yaml") != "" && f.Tag.Get("yaml") != "-" {
		return strings.Join(slices.DeleteFunc(below(f, chain[1:]), func(s string) bool { return s == "" }), ".")
	}
	return ""
}

// below returns the keys of a field and of the fields below it that a chain names. An inlined field has no key.
func below(f reflect.StructField, chain []string) []string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if len(chain) > 0 && f.Type.Kind() == reflect.Struct {
		if next, is := f.Type.FieldByName(chain[0]); is {
			return append([]string{key}, below(next, chain[1:])...)
		}
	}
	return []string{key}
}
