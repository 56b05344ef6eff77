package proxy

import (
	"fmt"
	"net/url"
	"strings"
)

// exposed are the paths that the configuration adds.
type exposed []exposedPath

type exposedPath struct {
	method, path string
	prefix       bool
	endpoint     *endpoint
}

// parseExposed reads "METHOD /path" or "METHOD /prefix/*".
func parseExposed(s string) (exposedPath, error) {
	method, path, ok := strings.Cut(s, " ")
	if !ok || method == "" || method != strings.ToUpper(method) || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?#") {
		return exposedPath{}, fmt.Errorf("%q, want METHOD /path or METHOD /prefix/*", s)
	}
	path, prefix := strings.CutSuffix(path, "*")
	switch {
	case strings.Contains(path, "*"), prefix && !strings.HasSuffix(path, "/"):
		return exposedPath{}, fmt.Errorf("%q, want a * only at the end, after a /", s)
	case nonCanonical([]byte(path)):
		return exposedPath{}, fmt.Errorf("%q has /./, .., //, an escaped . or /, or a backslash in it", s)
	}
	return exposedPath{method: method, path: path, prefix: prefix, endpoint: &endpoint{method: method, name: "exposed"}}, nil
}

func (e exposed) match(method, path []byte) *endpoint {
	for i := range e {
		if p := &e[i]; p.method == string(method) && p.has(path) {
			return p.endpoint
		}
	}
	return nil
}

func (e exposed) has(path []byte) bool {
	for i := range e {
		if e[i].has(path) {
			return true
		}
	}
	return false
}

func (p *exposedPath) has(path []byte) bool {
	if !p.prefix {
		return p.path == string(path)
	}
	meant, err := url.PathUnescape(string(path)) // as the server reads it
	if err != nil || !strings.HasPrefix(string(path), p.path) {
		return false
	}
	for _, never := range neverByWildcard {
		if rest, ok := strings.CutPrefix(meant, never); ok && (rest == "" || !isName(rest[0])) {
			return false
		}
	}
	return true
}
