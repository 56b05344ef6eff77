package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/parser"

	"tether/files"
)

// Source is what a configuration is loaded from.
type Source struct {
	// File is the path of a YAML file, "" for the one that FileVariable names in Environ, if it does.
	File string
	// Environ is the environment, NAME=VALUE each.
	Environ []string
	// Flags set leaves by their path, over all else.
	Flags []Flag
	// Upstreams, if there are any, are the URLs that replace all configured upstreams.
	Upstreams []string
	// Affinity is what --affinity says, "on" or "off"; "" is on.
	Affinity string
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

// FileVariable names the configuration's file in the environment. A container image sets it, so that every command
// that runs in it finds the same file without being told.
const FileVariable = "TETHER_CONFIG"

// Load gives the configuration, or all that is wrong with it as a *Problems.
func Load(src Source) (*Config, error) {
	l, ok := read(src)
	if !ok {
		return nil, l.problems
	}
	l.validate(src.Memory)
	if len(l.problems.list) > 0 {
		return nil, l.problems
	}
	return l.cfg, nil
}

// AdminListen gives admin.listen alone, for those who ask a tether that runs. Whatever else is wrong with the
// configuration is not theirs: the process may have had its upstreams from flags, or the file may have changed since.
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

// read sets what file, environment and flags say, and reports whether there was a file to read, if there is to be one.
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

// loader sets leaves and remembers where each came from.
type loader struct {
	cfg      *Config
	source   string           // the file, "" for none
	places   map[string]place // by path
	broken   map[string]bool  // paths whose value could not be read: they have a problem already
	problems *Problems
}

// file sets what the file says, and reports whether there was a file to read.
func (l *loader) file(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		l.problems.add(place{name: path}, "cannot read the configuration: "+files.Reason(err)+", want the path of a YAML file behind -c")
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
		t := tree{loader: l, file: path, anchors: anchorsIn(file.Docs[0].Body)}
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
	l.cfg.Affinity = value != "off"
}

// replaced notes that the value at path is now from another place: what was known of it, and of all below, was of
// the value before.
func (l *loader) replaced(path string, by place) {
	before := func(p string) bool {
		return p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[")
	}
	maps.DeleteFunc(l.places, func(p string, _ place) bool { return before(p) })
	maps.DeleteFunc(l.broken, func(p string, _ bool) bool { return before(p) })
	l.places[path] = by
}

const envPrefix = "TETHER_"

// ofKubernetes are the variables that every pod gets for each Service of its namespace: for one that is called
// tether, and for all whose names begin so, such as tether-admin.
var ofKubernetes = regexp.MustCompile(`^TETHER_(?:[A-Z0-9_]+_)?` +
	`(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

// environ sets the leaves that the environment names. Those of Kubernetes are passed over; any other unknown one is a
// mistake.
func (l *loader) environ(environ []string) {
	paths := map[string]string{FileVariable: ""}
	eachLeaf("", reflect.ValueOf(l.cfg).Elem(), func(path string, _ reflect.Value) {
		paths[envPrefix+strings.ToUpper(strings.ReplaceAll(path, ".", "_"))] = path
	})
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		path, known := paths[name]
		switch {
		case name == FileVariable: // read by read
		case known:
			l.text(path, value, name)
		case strings.HasPrefix(name, envPrefix) && !ofKubernetes.MatchString(name):
			l.problems.add(place{name: name}, "unknown variable"+didYouMean(name, keysOf(paths)))
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

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
