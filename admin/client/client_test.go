package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A request carries the token, its body and the type of the body; the answer is returned whatever its status.
func TestDo(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}, " "))
	}))
	defer s.Close()
	base, _ := url.Parse(s.URL + "/")
	r := Request{Method: http.MethodPost, Path: "/api/where", ContentType: "text/x", Body: strings.NewReader("hello")}
	status, body, err := New(base, "secret").Do(t.Context(), r)
	if err != nil || status != http.StatusTeapot || string(body) != "POST /api/where Bearer secret text/x hello" {
		t.Errorf("%d %s, %v", status, body, err)
	}
	status, body, err = New(base, "").Do(t.Context(), Request{Method: http.MethodGet, Path: "/readyz"})
	if err != nil || status != http.StatusTeapot || string(body) != "GET /readyz   " {
		t.Errorf("%d %s, %v", status, body, err)
	}
}

// A redirect is an answer: the token goes nowhere else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer s.Close()
	base, _ := url.Parse(s.URL)
	if status, _, err := New(base, "secret").Do(t.Context(), Request{Method: http.MethodGet, Path: "/"}); err != nil || status != http.StatusFound {
		t.Errorf("%d, %v", status, err)
	}
}
