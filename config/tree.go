package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// tree sets values from the nodes of a YAML file.
type tree struct {
	*loader
	file    string
	anchors map[string]ast.Node // values of aliases; nil where two values have one name
}

// anchorsIn finds the values with a name, &NAME, which aliases repeat.
func anchorsIn(n ast.Node) map[string]ast.Node {
	found := anchors{}
	ast.Walk(found, n)
	return found
}

type anchors map[string]ast.Node

// Visit implements ast.Visitor.
func (a anchors) Visit(n ast.Node) ast.Visitor {
	if named, is := n.(*ast.AnchorNode); is {
		name := named.Name.GetToken().Value
		if _, twice := a[name]; twice {
			a[name] = nil // an alias would be ambiguous
		} else {
			a[name] = named.Value
		}
	}
	return a
}

// maxAliases limits how many aliases of aliases are followed: an alias may stand for itself.
const maxAliases = 8

// value returns the node at n, with an alias replaced by the value that it repeats, or the problem with it.
func (t *tree) value(n ast.Node) (ast.Node, string) {
	for range maxAliases {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			name := v.Value.GetToken().Value
			if n = t.anchors[name]; n == nil {
				return nil, "*" + name + " repeats the value with &" + name + ", want one such value in the file"
			}
		case *ast.TagNode:
			return nil, v.GetToken().Value + " is a tag, want a plain value"
		default:
			return n, ""
		}
	}
	return nil, "an alias of itself, want a value"
}

func (t *tree) place(n ast.Node) place {
	if tok := n.GetToken(); tok != nil && tok.Position != nil {
		return place{t.file, tok.Position.Line}
	}
	return place{name: t.file}
}

// wrong adds a problem with the value at path. The value keeps its default.
func (t *tree) wrong(path, text string) {
	t.problems.add(t.places[path], strings.TrimPrefix(path+": "+text, ": "))
	t.broken[path] = true
}

func (t *tree) set(path string, v reflect.Value, at ast.Node) {
	t.places[path] = t.place(at)
	n, problem := t.value(at)
	switch {
	case problem != "":
		t.wrong(path, problem)
	case v.Kind() == reflect.Struct && !isText(v):
		t.mapping(path, v, n)
	case v.Kind() == reflect.Slice:
		t.sequence(path, v, n)
	case v.Kind() == reflect.Map:
		t.dictionary(path, v, n)
	default:
		t.scalar(path, v, n)
	}
}

func (t *tree) scalar(path string, v reflect.Value, n ast.Node) {
	scalar, ok := n.(ast.ScalarNode)
	if _, null := n.(*ast.NullNode); !ok || null {
		t.wrong(path, "want a plain value")
		return
	}
	if err := setText(v, fmt.Sprint(scalarText(scalar))); err != nil {
		t.wrong(path, err.Error())
	}
}

// scalarText returns a scalar as it is written, without quotes.
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
	pairs, ok := t.pairs(path, n)
	if !ok {
		return
	}
	fields := map[string]reflect.Value{}
	eachField(v, func(key string, f reflect.Value) { fields[key] = f })
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		at := join(path, key)
		field, known := fields[key]
		_, null := pair.Value.(*ast.NullNode)
		t.places[at] = t.place(pair.Key)
		switch {
		case key == "<<":
			t.wrong(at, "keys cannot be merged: write them out")
		case !known:
			t.wrong(at, "unknown key"+didYouMean(key, keysOf(fields)))
		case null && field.Kind() != reflect.Slice && field.Kind() != reflect.Map:
			t.wrong(at, "no value")
		default:
			t.set(at, field, pair.Value)
		}
	}
}

// pairs returns the pairs of a mapping; every other node is a problem.
func (t *tree) pairs(path string, n ast.Node) (pairs []*ast.MappingValueNode, ok bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	t.wrong(path, "want keys with values")
	return nil, false
}

// dictionary sets a map of names to scalars.
func (t *tree) dictionary(path string, v reflect.Value, n ast.Node) {
	v.Set(reflect.MakeMap(v.Type()))
	if _, null := n.(*ast.NullNode); null {
		return
	}
	pairs, _ := t.pairs(path, n)
	for _, pair := range pairs {
		key, plain := pair.Key.(ast.ScalarNode)
		if !plain {
			t.wrong(path, "want plain names")
			continue
		}
		name := fmt.Sprint(scalarText(key))
		value := reflect.New(v.Type().Elem()).Elem()
		t.set(join(path, name), value, pair.Value)
		v.SetMapIndex(reflect.ValueOf(name), value)
	}
}

func (t *tree) sequence(path string, v reflect.Value, n ast.Node) {
	v.SetZero()
	if _, null := n.(*ast.NullNode); null {
		return
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		t.wrong(path, "want a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		t.set(fmt.Sprintf("%s[%d]", path, i), v.Index(i), item)
	}
}
