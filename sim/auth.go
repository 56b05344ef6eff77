package sim

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// authorize is vLLM's --api-key: it checks by prefix of the path, before anything else looks at the request, and never for
// OPTIONS.
func (a *answer) authorize() error {
	if a.srv.cfg.APIKey == "" || a.r.Method == http.MethodOptions || !needsKey(a.r.URL.Path) {
		return nil
	}
	scheme, key, _ := strings.Cut(a.r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare([]byte(key), []byte(a.srv.cfg.APIKey)) == 1 {
		return nil
	}
	return problem{status: http.StatusUnauthorized, plain: "Unauthorized"}
}

func needsKey(path string) bool {
	return slices.ContainsFunc([]string{"/v1", "/v2", "/inference", "/cohere"}, func(prefix string) bool {
		return strings.HasPrefix(path, prefix)
	})
}
