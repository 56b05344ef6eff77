package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Source is what a configuration is loaded from.
type Source struct {
	// File is the path of a YAML file, "" for none.
	File string
	// Environ is the environment, NAME=VALUE each.
	Environ []string
	// Flags set leaves by their path, over all else.
	Flags []Flag
	// Upstreams, if there are any, are the URLs that replace all configured upstreams.
	Upstreams []string
	// Memory is the process's memory limit in bytes, that shares are taken of.
	Memory int64
}

// Flag is a leaf that was set on the command line.
type Flag struct {
	// Name is the flag as the user knows it, "--listen".
	Name string
	// Path is the leaf's path, "admin.listen", and Value its value, lists comma-separated.
	Path, Value string
}

// Load gives the configuration, or all that is wrong with it as a *Problems.
func Load(src Source) (*Config, error) {
	l := &loader{cfg: Default(), places: map[string]place{}, broken: map[string]bool{}, problems: &Problems{}}
	if src.File != "" && !l.file(src.File) {
		return nil, l.problems
	}
	l.environ(src.Environ)
	for _, f := range src.Flags {
		l.text(f.Path, f.Value, f.Name)
	}
	l.upstreamFlags(src.Upstreams)
	l.validate(src.Memory)
	if len(l.problems.list) > 0 {
		return nil, l.problems
	}
	return l.cfg, nil
}

// loader sets leaves and remembers where each came from.
type loader struct {
	cfg      *Config
	places   map[string]place // by path
	broken   map[string]bool  // paths whose value could not be read: they have a problem already
	problems *Problems
}

// file sets what the file says, and reports whether there was a file to read.
func (l *loader) file(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		var bad *fs.PathError
		if errors.As(err, &bad) {
			err = bad.Err
		}
		l.problems.add(place{name: path}, "cannot read the configuration: "+err.Error())
		return false
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		l.problems.add(place{name: path}, "not YAML: "+firstLine(err))
		return false
	}
	if len(file.Docs) > 1 {
		l.problems.add(place{name: path}, "more than one YAML document")
		return false
	}
	if len(file.Docs) > 0 && file.Docs[0].Body != nil {
		t := tree{loader: l, file: path}
		t.set("", reflect.ValueOf(l.cfg).Elem(), file.Docs[0].Body)
	}
	return true
}

// firstLine is the essence of the parser's error, which goes on with an excerpt.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (l *loader) upstreamFlags(urls []string) {
	if len(urls) == 0 {
		return
	}
	l.cfg.Upstreams = nil
	for i, u := range urls {
		l.cfg.Upstreams = append(l.cfg.Upstreams, Upstream{URL: u})
		l.places[fmt.Sprintf("upstreams[%d]", i)] = place{name: "--upstream"}
	}
}

const envPrefix = "TETHER_"

// environ sets the leaves that the environment names. Kubernetes adds variables of its own for a Service that is
// called tether: those are passed over, any other unknown one is a mistake.
func (l *loader) environ(environ []string) {
	paths := map[string]string{}
	eachLeaf("", reflect.ValueOf(l.cfg).Elem(), func(path string, _ reflect.Value) {
		paths[envPrefix+strings.ToUpper(strings.ReplaceAll(path, ".", "_"))] = path
	})
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || ofKubernetes(name) {
			continue
		}
		path, known := paths[name]
		if !known {
			l.problems.add(place{name: name}, "unknown variable"+didYouMean(name, keysOf(paths)))
			continue
		}
		l.text(path, value, name)
	}
}

func ofKubernetes(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.Contains(rest, "SERVICE_HOST") || strings.Contains(rest, "SERVICE_PORT")
}

// text sets the leaf at path from a string; lists are comma-separated.
func (l *loader) text(path, value, name string) {
	found := false
	eachLeaf("", reflect.ValueOf(l.cfg).Elem(), func(p string, v reflect.Value) {
		if p != path {
			return
		}
		found = true
		l.places[path] = place{name: name}
		if err := setText(v, value); err != nil {
			l.problem(path, err.Error())
			l.broken[path] = true
		}
	})
	if !found {
		panic("BUG: no leaf " + path)
	}
}

// eachLeaf visits all that has a value of its own: scalars and lists.
func eachLeaf(path string, v reflect.Value, visit func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		key := keyOf(v.Type().Field(i))
		if key == "" {
			continue
		}
		if f := v.Field(i); f.Kind() == reflect.Struct && !isText(f) {
			eachLeaf(join(path, key), f, visit)
		} else {
			visit(join(path, key), f)
		}
	}
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return strings.TrimPrefix(key, "-")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// tree sets values from the nodes of a YAML file.
type tree struct {
	*loader
	file string
}

func (t *tree) place(n ast.Node) place {
	if tok := n.GetToken(); tok != nil && tok.Position != nil {
		return place{t.file, tok.Position.Line}
	}
	return place{name: t.file}
}

// wrong adds a problem with the value at path, which stays what it was.
func (t *tree) wrong(path string, n ast.Node, text string) {
	t.problems.add(t.place(n), strings.TrimPrefix(path+": "+text, ": "))
	t.broken[path] = true
}

func (t *tree) set(path string, v reflect.Value, n ast.Node) {
	t.places[path] = t.place(n)
	if v.Kind() == reflect.Struct && !isText(v) {
		t.mapping(path, v, n)
		return
	}
	if v.Kind() == reflect.Slice {
		t.sequence(path, v, n)
		return
	}
	scalar, ok := n.(ast.ScalarNode)
	if _, null := n.(*ast.NullNode); !ok || null {
		t.wrong(path, n, "want a plain value")
		return
	}
	if err := setText(v, fmt.Sprint(scalarText(scalar))); err != nil {
		t.wrong(path, n, err.Error())
	}
}

// scalarText is a scalar as it was written, without quotes.
func scalarText(n ast.ScalarNode) string {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	}
	return n.GetToken().Value
}

func (t *tree) mapping(path string, v reflect.Value, n ast.Node) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		t.wrong(path, n, "want keys with values")
		return
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if key := keyOf(v.Type().Field(i)); key != "" {
			fields[key] = v.Field(i)
		}
	}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		field, known := fields[key]
		if !known {
			t.wrong(join(path, key), pair.Key, "unknown key"+didYouMean(key, keysOf(fields)))
			continue
		}
		if _, null := pair.Value.(*ast.NullNode); null && field.Kind() != reflect.Slice {
			t.wrong(join(path, key), pair.Key, "no value")
			continue
		}
		t.set(join(path, key), field, pair.Value)
	}
}

func (t *tree) sequence(path string, v reflect.Value, n ast.Node) {
	v.SetZero()
	if _, null := n.(*ast.NullNode); null {
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		t.wrong(path, n, "want a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		t.set(fmt.Sprintf("%s[%d]", path, i), v.Index(i), item)
	}
}
