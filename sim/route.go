package sim

import (
	"net/http"
	"slices"
	"strings"
)

// route is what a path allows.
type route struct {
	methods []string
	serve   func(*answer)
}

func onGet(serve func(*answer)) route  { return route{[]string{http.MethodGet}, serve} }
func onPost(serve func(*answer)) route { return route{[]string{http.MethodPost}, serve} }

// routeOf finds the route of a decoded path, as uvicorn hands it on: /v1/chat%2Fcompletions is /v1/chat/completions.
func routeOf(path string) (route, bool) {
	if id, ok := strings.CutPrefix(path, "/v1/responses/"); ok {
		return responseRoute(id)
	}
	switch path {
	case "/v1/chat/completions":
		return onPost((*answer).chat), true
	case "/v1/chat/completions/batch":
		return onPost((*answer).chatBatch), true
	case "/v1/completions":
		return onPost((*answer).completions), true
	case "/v1/responses":
		return onPost((*answer).responses), true
	case "/v1/messages":
		return onPost((*answer).messages), true
	case "/v1/messages/count_tokens":
		return onPost((*answer).countTokens), true
	case "/inference/v1/generate":
		return onPost((*answer).generate), true
	case "/tokenize":
		return onPost((*answer).tokenize), true
	case "/detokenize":
		return onPost((*answer).detokenize), true
	case "/v1/audio/transcriptions", "/v1/audio/translations":
		return onPost((*answer).transcribe), true
	}
	if r, ok := poolingRoute(path); ok {
		return r, true
	}
	return statusRoute(path)
}

func responseRoute(rest string) (route, bool) {
	id, cancel := strings.CutSuffix(rest, "/cancel")
	if id == "" || strings.Contains(id, "/") {
		return route{}, false
	}
	if cancel {
		return onPost(func(a *answer) { a.cancelResponse(id) }), true
	}
	return onGet(func(a *answer) { a.getResponse(id) }), true
}

func poolingRoute(path string) (route, bool) {
	switch path {
	case "/v1/embeddings":
		return onPost((*answer).embeddings), true
	case "/v2/embed":
		return onPost((*answer).cohereEmbed), true
	case "/pooling":
		return onPost((*answer).pooling), true
	case "/classify":
		return onPost((*answer).classify), true
	case "/score", "/v1/score":
		return onPost((*answer).score), true
	case "/rerank", "/v1/rerank", "/v2/rerank":
		return onPost((*answer).rerank), true
	}
	return route{}, false
}

func statusRoute(path string) (route, bool) {
	switch path {
	case "/health":
		return onGet((*answer).health), true
	case "/ping":
		return route{[]string{http.MethodGet, http.MethodPost}, (*answer).health}, true
	case "/load":
		return onGet(func(a *answer) { a.json(http.StatusOK, `{"server_load":0}`) }), true
	case "/version":
		return onGet(func(a *answer) { a.json(http.StatusOK, `{"version":"%s"}`, version) }), true
	case "/metrics":
		return onGet((*answer).metrics), true
	case "/v1/models":
		return onGet((*answer).models), true
	}
	return route{}, false
}

// route answers the request by its path and method, as FastAPI does.
func (a *answer) route() {
	path := a.r.URL.Path
	r, ok := routeOf(path)
	switch {
	case wantsWebSocket(a.r):
		a.webSocket(path)
	case ok && slices.Contains(r.methods, a.r.Method):
		r.serve(a)
	case ok:
		a.w.Header().Set("Allow", strings.Join(r.methods, ", "))
		a.json(http.StatusMethodNotAllowed, `{"detail":"Method Not Allowed"}`)
	default:
		a.redirectOrNotFound(strings.TrimSuffix(path, "/"))
	}
}

func (a *answer) redirectOrNotFound(path string) {
	if _, ok := routeOf(path); ok && path != a.r.URL.Path {
		a.w.Header().Set("Location", "http://"+a.r.Host+path)
		a.send(http.StatusTemporaryRedirect, "", nil)
		return
	}
	a.json(http.StatusNotFound, `{"detail":"Not Found"}`)
}
