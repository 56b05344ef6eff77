package proxy

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tether/session/identity"
)

// route is one call that is let through, or answered, by its method and exact path.
type route struct {
	// name stands for the path in metrics and logs: the path itself, ids as {id}.
	name     string
	method   string
	affinity bool
	shape    identity.Shape
	// byResponse: the path holds the id of a response, which lives on one server.
	byResponse bool
	// random: a request that names no session gets a random id.
	random bool
	// namedEvents: streams have Responses' named events.
	namedEvents bool
	// anthropic: errors have Anthropic's form.
	anthropic bool
	// models: tether answers by itself.
	models bool
	// tunnel: a WebSocket, whose query stands for a body.
	tunnel bool
}

// aboutResponses reports whether the call makes stored responses or is about one.
func (r *route) aboutResponses() bool { return r.byResponse || r.shape == identity.Responses }

// routes are the inference calls of vLLM that are exposed: the paths of its API server that a client of the
// OpenAI or Anthropic API needs. All else of it, and above all what loads, sleeps, profiles or scales, is not.
var routes = func() map[string]*route {
	t := map[string]*route{}
	add := func(r route, methodAndPaths ...string) {
		for _, k := range methodAndPaths {
			r.method, r.name, _ = strings.Cut(k, " ")
			one := r
			t[k] = &one
		}
	}
	add(route{affinity: true, shape: identity.Chat, random: true}, "POST /v1/chat/completions")
	add(route{affinity: true, random: true}, "POST /v1/completions", "POST /inference/v1/generate")
	add(route{affinity: true, shape: identity.Responses, random: true, namedEvents: true}, "POST /v1/responses")
	add(route{affinity: true, shape: identity.Chat, random: true, anthropic: true},
		"POST /v1/messages", "POST /v1/messages/count_tokens")
	add(route{}, "POST /v1/chat/completions/batch",
		"POST /v1/embeddings", "POST /v2/embed", "POST /pooling", "POST /classify",
		"POST /score", "POST /v1/score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank",
		"POST /tokenize", "POST /detokenize", "POST /v1/audio/transcriptions", "POST /v1/audio/translations")
	add(route{affinity: true, random: true, tunnel: true}, "GET /v1/realtime")
	add(route{models: true}, "GET /v1/models")
	return t
}()

// The calls with a response's id in their path, and the preflight of browsers for every path.
var (
	retrieveRoute  = &route{method: "GET", name: "/v1/responses/{id}", affinity: true, byResponse: true, namedEvents: true}
	cancelRoute    = &route{method: "POST", name: "/v1/responses/{id}/cancel", affinity: true, byResponse: true}
	preflightRoute = &route{method: "OPTIONS", name: "preflight"}
)

const (
	responsesPath = "/v1/responses/"

	// maxResponseID bounds the id of a stored response, in bytes.
	maxResponseID = 128
)

// methodsOf lists, for a path of routes, the methods that it has.
var methodsOf = func() map[string][]string {
	m := map[string][]string{}
	for k := range routes {
		method, path, _ := strings.Cut(k, " ")
		m[path] = append(m[path], method)
	}
	for _, methods := range m {
		slices.Sort(methods)
	}
	return m
}()

// match finds the route of a request by its method and its path without the query, as sent. Where there is none it
// gives the methods that the path has, nil for an unknown path. responseID is the id in the path of a byResponse
// route.
func (p *Proxy) match(method, path []byte) (r *route, responseID []byte, methods []string) {
	var room [96]byte
	key := append(append(append(room[:0], method...), ' '), path...)
	if r := routes[string(key)]; r != nil {
		return r, nil, nil
	}
	methods = methodsOf[string(path)]
	if r, responseID = matchResponse(path); r != nil {
		if string(method) == r.method {
			return r, responseID, nil
		}
		methods = []string{r.method}
	}
	if r := p.exposed.match(method, path); r != nil {
		return r, nil, nil
	}
	if string(method) == "OPTIONS" && (methods != nil || p.exposed.has(path)) {
		return preflightRoute, nil, nil
	}
	return nil, nil, methods
}

// matchResponse reads /v1/responses/{id} and /v1/responses/{id}/cancel. An id is 1..maxResponseID letters, digits, _, -, ., : and
// ~: clients may choose it.
func matchResponse(path []byte) (r *route, id []byte) {
	rest, ok := strings.CutPrefix(string(path), responsesPath)
	if !ok {
		return nil, nil
	}
	rest, cancel := strings.CutSuffix(rest, "/cancel")
	if len(rest) == 0 || len(rest) > maxResponseID {
		return nil, nil
	}
	for _, c := range []byte(rest) {
		if !isName(c) && c != '.' && c != ':' && c != '~' {
			return nil, nil
		}
	}
	id = path[len(responsesPath) : len(responsesPath)+len(rest)]
	if cancel {
		return cancelRoute, id
	}
	return retrieveRoute, id
}

// exposed are the paths that the configuration adds.
type exposed []exposedPath

type exposedPath struct {
	method, path string
	prefix       bool
	route        *route
}

// neverByWildcard are vLLM's own ways to change or stop a server: a prefix must not open them by accident. Named
// exactly they are the operator's choice.
var neverByWildcard = []string{
	"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/scale_elastic_ep", "/is_scaling_elastic_ep",
	"/start_profile", "/stop_profile", "/fault_tolerance", "/abort_requests", "/sleep", "/wake_up", "/is_sleeping",
	"/pause", "/resume", "/is_paused", "/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache",
	"/collective_rpc", "/update_weights", "/init_weight_transfer_engine", "/get_world_size", "/server_info",
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
		return exposedPath{}, fmt.Errorf("%q, want a * only at the end, behind a /", s)
	case crooked([]byte(path)):
		return exposedPath{}, fmt.Errorf("%q has /./, .., //, an escaped . or /, or a backslash in it", s)
	}
	return exposedPath{method: method, path: path, prefix: prefix, route: &route{method: method, name: "exposed"}}, nil
}

func (e exposed) match(method, path []byte) *route {
	for _, x := range e {
		if x.method == string(method) && x.has(path) {
			return x.route
		}
	}
	return nil
}

func (e exposed) has(path []byte) bool {
	for _, x := range e {
		if x.has(path) {
			return true
		}
	}
	return false
}

func (x *exposedPath) has(path []byte) bool {
	if !x.prefix {
		return x.path == string(path)
	}
	meant, err := url.PathUnescape(string(path)) // as the server reads it
	if err != nil || !strings.HasPrefix(string(path), x.path) {
		return false
	}
	for _, never := range neverByWildcard {
		if rest, ok := strings.CutPrefix(meant, never); ok && (rest == "" || !isName(rest[0])) {
			return false
		}
	}
	return true
}

// isName reports whether a byte is one of those that names in paths, and ids, are made of. Another one may end a name, for
// this server or that.
func isName(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// escapesTidied are the escapes of ., / and a backslash.
var escapesTidied = map[[2]byte]bool{{'2', 'e'}: true, {'2', 'f'}: true, {'5', 'c'}: true}

// crooked reports whether a path could mean another one to somebody who tidies paths: such paths are nobody's.
func crooked(path []byte) bool {
	for i, c := range path {
		switch c {
		case '\\':
			return true
		case '/':
			if rest := path[i+1:]; len(rest) > 0 && (rest[0] == '/' || string(rest) == "." || bytes.HasPrefix(rest, []byte("./"))) {
				return true
			}
		case '.':
			if i+1 < len(path) && path[i+1] == '.' {
				return true
			}
		case '%':
			if i+2 < len(path) && escapesTidied[[2]byte{path[i+1], path[i+2] | 0x20}] {
				return true
			}
		}
	}
	return false
}
