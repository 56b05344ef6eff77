package proxy

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"tether/session/identity"
)

// endpoint is one call that is let through, or answered, by its method and exact path.
type endpoint struct {
	api
	// name stands for the path in metrics and logs: the path itself, ids as {id}.
	name   string
	method string
}

// api is the family of calls that an endpoint belongs to. It says what a session is to them, how their bodies are read, and which
// form their events and errors have.
type api uint8

const (
	// statelessAPI: the calls belong to no session: embeddings, scores, audio, and paths that the configuration exposes.
	statelessAPI api = iota
	chatAPI
	completionsAPI
	// responsesAPI: the call makes a stored response, and may follow one.
	responsesAPI
	// storedAPI: the call is about one stored response, whose id is in the path.
	storedAPI
	messagesAPI
	// cohereAPI: chats in Cohere's form.
	cohereAPI
	// realtimeAPI: the call is a WebSocket. Its query stands for a body.
	realtimeAPI
	// From here on the calls have no affinity.
	//
	// modelsAPI: the list of models, which tether answers by itself where it can.
	modelsAPI
	// modelAPI: one model, whose id is in the path. tether answers by itself: vLLM has no such call.
	modelAPI
	// finishAPI: tether drops the pins of a session, as vllm-router does.
	finishAPI
	// healthAPI: tether says whether it is ready, unless the configuration exposes the servers' call.
	healthAPI
)

// hasAffinity reports whether the session of a call decides where the call goes.
func (a api) hasAffinity() bool { return a != statelessAPI && a < modelsAPI }

// drawsID reports whether a call that names no session gets a random id.
func (a api) drawsID() bool { return a.hasAffinity() && a != storedAPI }

// aboutResponses reports whether a call makes stored responses or is about one.
func (a api) aboutResponses() bool { return a == responsesAPI || a == storedAPI }

// shape says where a body has its conversation.
func (a api) shape() identity.Shape {
	switch a {
	case chatAPI, messagesAPI, cohereAPI:
		return identity.Chat
	case responsesAPI:
		return identity.Responses
	case completionsAPI:
		return identity.Completion
	}
	return identity.Opaque
}

// endpoints are the inference calls of vLLM that are exposed: the paths of its API server that a client of the
// OpenAI or Anthropic API needs. All other paths, and above all those that load, sleep, profile or scale, are not.
var endpoints = func() map[string]*endpoint {
	all := map[string]*endpoint{}
	add := func(a api, methodAndPaths ...string) {
		for _, k := range methodAndPaths {
			method, path, _ := strings.Cut(k, " ")
			all[k] = &endpoint{api: a, name: path, method: method}
		}
	}
	// A render turns a request into token ids for /inference/v1/generate. It belongs to the session of the request: the server
	// may have pictures or a stored response of an earlier turn, and the id in its answer keeps the generation there.
	add(chatAPI, "POST /v1/chat/completions", "POST /v1/chat/completions/render")
	add(completionsAPI, "POST /v1/completions", "POST /v1/completions/render", "POST /inference/v1/generate", "POST /v1/systemone")
	add(responsesAPI, "POST /v1/responses", "POST /v1/responses/render")
	add(messagesAPI, "POST /v1/messages", "POST /v1/messages/count_tokens", "POST /v1/messages/render")
	add(cohereAPI, "POST /cohere/v2/chat", "POST /cohere/v2/chat/render")
	add(statelessAPI, "POST /v1/chat/completions/batch",
		"POST /v1/chat/completions/derender", "POST /v1/completions/derender", "POST /generative_scoring", "GET /tokenizer_info",
		"POST /v1/embeddings", "POST /v2/embed", "POST /pooling", "POST /classify",
		"POST /score", "POST /v1/score", "POST /rerank", "POST /v1/rerank", "POST /v2/rerank",
		"POST /tokenize", "POST /detokenize", "POST /v1/audio/transcriptions", "POST /v1/audio/translations")
	add(realtimeAPI, "GET /v1/realtime")
	add(modelsAPI, "GET /v1/models")
	add(finishAPI, "POST /finish_session")
	add(healthAPI, "GET /health", "HEAD /health", "GET /ping", "HEAD /ping", "POST /ping") // vLLM's, and HEAD
	return all
}()

// The calls with an id in their path, and the preflight of browsers for every path.
var (
	retrieveEndpoint  = &endpoint{api: storedAPI, method: "GET", name: "/v1/responses/{id}"}
	cancelEndpoint    = &endpoint{api: storedAPI, method: "POST", name: "/v1/responses/{id}/cancel"}
	modelEndpoint     = &endpoint{api: modelAPI, method: "GET", name: "/v1/models/{id}"}
	preflightEndpoint = &endpoint{method: "OPTIONS", name: "preflight"}
)

const (
	responsesPath = "/v1/responses/"
	modelsPath    = "/v1/models/"

	// maxResponseID bounds the id of a stored response, in bytes.
	maxResponseID = 128
)

// methodsOf lists, for a path of endpoints, the methods that it has.
var methodsOf = func() map[string][]string {
	m := map[string][]string{}
	for k := range endpoints {
		method, path, _ := strings.Cut(k, " ")
		m[path] = append(m[path], method)
	}
	for _, methods := range m {
		slices.Sort(methods)
	}
	return m
}()

// find gives the endpoint of a method and a path, without the query, as sent; e are the paths that are exposed beside endpoints. If
// there is no endpoint, find gives the methods that the path has, nil for an unknown path. id is the id in the path of a stored
// response or a model, as it was sent.
func (e exposed) find(method, path []byte) (found *endpoint, id []byte, methods []string) {
	var buf [96]byte
	key := append(append(append(buf[:0], method...), ' '), path...)
	if found := endpoints[string(key)]; found != nil {
		if found.api == healthAPI {
			found = cmp.Or(e.match(method, path), found)
		}
		return found, nil, nil
	}
	model, isModel := bytes.CutPrefix(path, []byte(modelsPath))
	isModel = isModel && len(model) > 0
	switch {
	case isModel && string(method) == modelEndpoint.method:
		return modelEndpoint, model, nil // even with an escaped slash, which clients send: no server gets the path
	case nonCanonical(path):
		return nil, nil, nil
	}
	methods = methodsOf[string(path)]
	if isModel {
		methods = []string{modelEndpoint.method}
	}
	if found, id = findStored(path); found != nil {
		if string(method) == found.method {
			return found, id, nil
		}
		methods = []string{found.method}
	}
	if found := e.match(method, path); found != nil {
		return found, nil, nil
	}
	if string(method) == "OPTIONS" && (methods != nil || e.has(path)) {
		return preflightEndpoint, nil, nil
	}
	return nil, nil, methods
}

// findStored reads /v1/responses/{id} and /v1/responses/{id}/cancel. An id is 1..maxResponseID letters, digits, _, -, ., : and
// ~: clients may choose it.
func findStored(path []byte) (found *endpoint, id []byte) {
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
		return cancelEndpoint, id
	}
	return retrieveEndpoint, id
}

// isName reports whether c may be in a name in a path, or in an id. Some servers end a name at any other byte.
func isName(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// normalizedEscapes are the escapes of ., / and a backslash.
var normalizedEscapes = map[[2]byte]bool{{'2', 'e'}: true, {'2', 'f'}: true, {'5', 'c'}: true}

// nonCanonical reports whether a path changes under normalization, by one server or another. Such paths are 404.
func nonCanonical(path []byte) bool {
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
			if i+2 < len(path) && normalizedEscapes[[2]byte{path[i+1], path[i+2] | 0x20}] {
				return true
			}
		}
	}
	return false
}
