package sim

import (
	"net/http"
	"slices"
	"strings"
)

// route is what a path allows.
type route struct {
	methods []string
	serve   func(*answer) error
}

func get(serve func(*answer) error) route  { return route{[]string{http.MethodGet}, serve} }
func post(serve func(*answer) error) route { return route{[]string{http.MethodPost}, serve} }

// body makes a handler of one that takes the fields of the JSON body.
func body[T any](serve func(*answer, T) error, required ...string) func(*answer) error {
	return func(a *answer) error {
		var q T
		if err := a.decode(&q, required...); err != nil {
			return err
		}
		return serve(a, q)
	}
}

// routes are the calls by decoded path. The paths of stored responses, which carry an id, are in routeOf.
var routes = map[string]route{
	"/v1/chat/completions":       post(body(chat, "messages")),
	"/v1/chat/completions/batch": post(body(chatBatch, "messages")),
	"/v1/completions":            post(body(completions)),
	"/v1/responses":              post(body(responses, "input")),
	"/v1/messages":               post(body(messages, "model", "messages", "max_tokens")),
	"/v1/messages/count_tokens":  post(body(countTokens, "model", "messages")),
	"/inference/v1/generate":     post(body(generate, "token_ids", "sampling_params")),
	"/tokenize":                  post(body(tokenize)),
	"/detokenize":                post(body(detokenize, "tokens")),
	"/v1/audio/transcriptions":   post(transcribe),
	"/v1/audio/translations":     post(transcribe),

	"/v1/embeddings": post(body(embeddings, "input")),
	"/v2/embed":      post(body(cohereEmbed, "texts")),
	"/pooling":       post(body(pooling, "input")),
	"/classify":      post(body(classify, "input")),
	"/score":         post(body(score)),
	"/v1/score":      post(body(score)),
	"/rerank":        post(body(rerank, "query", "documents")),
	"/v1/rerank":     post(body(rerank, "query", "documents")),
	"/v2/rerank":     post(body(rerank, "query", "documents")),

	"/health":    get(health),
	"/ping":      {[]string{http.MethodGet, http.MethodPost}, health},
	"/load":      get(always(`{"server_load":0}`)),
	"/version":   get(always(`{"version":"` + version + `"}`)),
	"/metrics":   get(metrics),
	"/metrics/":  get(metrics),
	"/v1/models": get(models),
}

// routeOf finds the route of a decoded path. vLLM routes by it too: /v1/chat%2Fcompletions is /v1/chat/completions.
func routeOf(path string) (route, bool) {
	if rest, ok := strings.CutPrefix(path, "/v1/responses/"); ok {
		id, cancel := strings.CutSuffix(rest, "/cancel")
		switch {
		case id == "" || strings.Contains(id, "/"):
			return route{}, false
		case cancel:
			return post(func(a *answer) error { return cancelResponse(a, id) }), true
		}
		return get(func(a *answer) error { return getResponse(a, id) }), true
	}
	r, ok := routes[path]
	return r, ok
}

// route answers the request by its path and method, as FastAPI does.
func (a *answer) route() error {
	path := a.r.URL.Path
	r, ok := routeOf(path)
	if a.srv.cfg.SleepMode && !ok {
		r, ok = sleepRoutes[path]
	}
	switch {
	case wantsWebSocket(a.r):
		webSocket(a, path)
	case ok && slices.Contains(r.methods, a.r.Method):
		return r.serve(a)
	case ok:
		a.w.Header().Set("Allow", strings.Join(r.methods, ", "))
		a.json(http.StatusMethodNotAllowed, `{"detail":"Method Not Allowed"}`)
	default:
		redirectOrNotFound(a, strings.TrimSuffix(path, "/"))
	}
	return nil
}

func redirectOrNotFound(a *answer, path string) {
	if _, ok := routeOf(path); ok && path != a.r.URL.Path {
		a.w.Header().Set("Location", "http://"+a.r.Host+path)
		a.send(http.StatusTemporaryRedirect, "", nil)
		return
	}
	a.json(http.StatusNotFound, `{"detail":"Not Found"}`)
}
