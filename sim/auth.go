package sim

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// authorized is vLLM's guard: by prefix of the path, before anything else looks at the request, never for OPTIONS.
// A request without the key is answered.
func (a *answer) authorized() bool {
	if a.srv.cfg.APIKey == "" || a.r.Method == http.MethodOptions || !guarded(a.r.URL.Path) {
		return true
	}
	scheme, key, _ := strings.Cut(a.r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare([]byte(key), []byte(a.srv.cfg.APIKey)) == 1 {
		return true
	}
	a.fail(problem{status: http.StatusUnauthorized, plain: "Unauthorized"})
	return false
}

func guarded(path string) bool {
	return slices.ContainsFunc([]string{"/v1", "/v2", "/inference", "/cohere"}, func(prefix string) bool {
		return strings.HasPrefix(path, prefix)
	})
}
