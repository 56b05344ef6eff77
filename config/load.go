package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tether/files"
)

// Source is all that a configuration is loaded from.
type Source struct {
	// File is the path of a YAML file. If it is "", FileVariable in Environ may name one.
	File string
	// Environ is the environment, as NAME=VALUE.
	Environ []string
	// Flags override all other sources, each for one leaf.
	Flags []Flag
	// Upstreams are URLs. If there are any, they replace all configured upstreams.
	Upstreams []string
	// Affinity is the value of --affinity, "on" or "off"; "" is on.
	Affinity string
	// Memory is the process's memory limit in bytes. Shares are taken from it.
	Memory int64
}

// Flag is a leaf that the command line sets.
type Flag struct {
	// Name is the flag as the user knows it, "--listen".
	Name string
	// Path is the leaf's path, "admin.listen". Value is its value; lists are comma-separated.
	Path, Value string
}

// FileVariable is the variable that names the configuration's file. A container image sets it, so that every command in
// the container finds the same file.
const FileVariable = "TETHER_CONFIG"

// Load returns the configuration, or everything that is wrong with it as a *Problems.
func Load(src Source) (*Config, error) {
	l, ok := read(src)
	if !ok {
		return nil, l.problems
	}
	l.validate(src.Memory)
	if len(l.problems.list) > 0 {
		l.problems.list = append(l.problems.list, l.warnings...) // a misspelt key may be why another one is missing
		return nil, l.problems
	}
	for _, w := range l.warnings {
		l.cfg.Warnings = append(l.cfg.Warnings, w.String())
	}
	l.cfg.File = l.source
	return l.cfg, nil
}

// AdminListen returns admin.listen alone, for commands that ask a running tether. It ignores all other problems of the
// configuration: the running process may have its upstreams from flags, or the file may have changed since.
func AdminListen(src Source) (string, error) {
	l, ok := read(src)
	if !ok {
		return "", l.problems
	}
	l.problems.list = slices.DeleteFunc(l.problems.list, func(p problem) bool {
		return !strings.HasPrefix(p.text, "admin: ") && !strings.HasPrefix(p.text, "admin.listen: ")
	})
	l.cfg.Admin.Validate(func(key, problem string) {
		if key == "listen" {
			l.problem("admin.listen", problem)
		}
	})
	if len(l.problems.list) > 0 {
		return "", l.problems
	}
	return l.cfg.Admin.Listen, nil
}

// read sets the values of file, environment and flags. ok is false if the file cannot be read.
func read(src Source) (l *loader, ok bool) {
	l = &loader{cfg: Default(), source: src.File, places: map[string]place{}, broken: map[string]bool{}, problems: &Problems{}}
	for _, pair := range src.Environ {
		if name, value, _ := strings.Cut(pair, "="); name == FileVariable && src.File == "" {
			l.source = value
		}
	}
	if l.source != "" && !l.file(l.source) {
		return l, false
	}
	l.environ(src.Environ)
	for _, f := range src.Flags {
		l.text(f.Path, f.Value, f.Name)
	}
	l.upstreamFlags(src.Upstreams)
	l.affinityFlag(src.Affinity)
	return l, true
}

// loader sets leaves and remembers where each was set.
type loader struct {
	cfg      *Config
	source   string           // the file, "" for none
	places   map[string]place // by path
	broken   map[string]bool  // paths of unreadable values, which have a problem already
	problems *Problems
	warnings []problem
}

// file sets the values of the file, and reports whether the file could be read.
func (l *loader) file(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		l.problems.add(place{name: path}, "cannot read the configuration: "+files.Reason(err)+", want the path of a YAML file after -c")
		return false
	}
	body, ok := l.parse(path, text)
	if body != nil {
		t := tree{loader: l, file: path, anchors: anchorsIn(body)}
		t.set("", reflect.ValueOf(l.cfg).Elem(), body)
	}
	return ok
}

// parse returns the only document of a YAML file, nil if the file is empty. ok is false if the file is no YAML.
func (l *loader) parse(path string, text []byte) (body ast.Node, ok bool) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // an excerpt of the file follows
		l.problems.add(place{name: path}, "not YAML: "+what)
		return nil, false
	}
	if len(file.Docs) > 1 {
		l.problems.add(place{name: path}, "more than one YAML document")
		return nil, false
	}
	if len(file.Docs) == 0 {
		return nil, true
	}
	return file.Docs[0].Body, true
}

func (l *loader) upstreamFlags(urls []string) {
	if len(urls) == 0 {
		return
	}
	l.replaced("upstreams", place{name: "--upstream"})
	l.cfg.Upstreams = nil
	for _, u := range urls {
		l.cfg.Upstreams = append(l.cfg.Upstreams, Upstream{URL: u})
	}
}

func (l *loader) affinityFlag(value string) {
	if value != "" && value != "on" && value != "off" {
		l.problems.add(place{name: "--affinity"}, fmt.Sprintf("%q, want on or off", value))
	}
	l.cfg.Session.Routing.Affinity = value != "off"
}

// replaced notes that the value at path was set again, at another place. It forgets what is known of the earlier value
// and of all values below it.
func (l *loader) replaced(path string, by place) {
	below := func(p string) bool {
		return p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[")
	}
	maps.DeleteFunc(l.places, func(p string, _ place) bool { return below(p) })
	maps.DeleteFunc(l.broken, func(p string, _ bool) bool { return below(p) })
	l.places[path] = by
}

const envPrefix = "TETHER_"

// kubernetesVariable matches the variables that Kubernetes gives every pod for each Service of its namespace: here those of a
// Service called tether, and of Services whose names begin with tether-.
var kubernetesVariable = regexp.MustCompile(`^TETHER_(?:[A-Z0-9_]+_)?` +
	`(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

// environ sets the leaves that variables name. Variables of Kubernetes are skipped; every other unknown variable with the
// prefix is a warning. It is no problem, because it may belong to another program: a script's TETHER_BIN must not keep
// tether from starting.
func (l *loader) environ(environ []string) {
	paths := map[string]string{FileVariable: ""}
	eachLeaf("", reflect.ValueOf(l.cfg).Elem(), func(path string, _ reflect.Value) {
		paths[envPrefix+strings.ToUpper(strings.ReplaceAll(path, ".", "_"))] = path
	})
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		path, known := paths[name]
		switch {
		case name == FileVariable: // see read
		case known:
			l.text(path, value, name)
		case strings.HasPrefix(name, envPrefix) && !kubernetesVariable.MatchString(name):
			nearest, _ := closest(name, keysOf(paths))
			l.warnings = append(l.warnings, problem{place{name: name}, "unknown variable, ignored; the nearest known one is " + nearest})
		}
	}
}

// text sets the leaf at path from a string; lists are comma-separated.
func (l *loader) text(path, value, name string) {
	found := false
	eachLeaf("", reflect.ValueOf(l.cfg).Elem(), func(p string, v reflect.Value) {
		if p != path {
			return
		}
		found = true
		l.replaced(path, place{name: name})
		l.cfg.Overridden = append(l.cfg.Overridden, path)
		if err := setText(v, value); err != nil {
			l.problem(path, err.Error())
			l.broken[path] = true
		}
	})
	if !found {
		panic("BUG: no leaf " + path)
	}
}

// eachLeaf visits everything that has a value of its own: scalars, lists and maps.
func eachLeaf(path string, v reflect.Value, visit func(path string, v reflect.Value)) {
	eachField(v, func(key string, f reflect.Value) {
		if f.Kind() == reflect.Struct && !isText(f) {
			eachLeaf(join(path, key), f, visit)
		} else {
			visit(join(path, key), f)
		}
	})
}

// eachField visits the fields of a struct that have a key, those of its inlined structs included.
func eachField(v reflect.Value, visit func(key string, f reflect.Value)) {
	for i := range v.NumField() {
		key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			eachField(v.Field(i), visit)
		case key != "" && key != "-":
			visit(key, v.Field(i))
		}
	}
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }
