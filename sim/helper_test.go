package sim

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// start returns a server that listens until the test ends.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s := New(cfg)
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// client returns a client that shares no connection with another test.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request to a base URL and reads the whole answer. Headers are "Name: value"; without a Content-Type among them a
// body is JSON.
func ask(t testing.TB, c *http.Client, base, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := send(t, c, base, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v after %q", method, path, err, text)
	}
	return reply{r.StatusCode, r.Header, string(text)}
}

func send(t testing.TB, c *http.Client, base, method, path, body string, headers ...string) (*http.Response, error) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, content)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return c.Do(r)
}

// postTo sends a POST to a server on a new connection.
func postTo(t testing.TB, s *Server, path, body string, headers ...string) reply {
	t.Helper()
	return ask(t, client(t), s.URL(), http.MethodPost, path, body, headers...)
}

// checkAnswer expects a 200 whose body contains a text.
func checkAnswer(t *testing.T, s *Server, path, body, want string) {
	t.Helper()
	if r := postTo(t, s, path, body); r.status != http.StatusOK || !strings.Contains(r.body, want) {
		t.Errorf("%s: %d %s", path, r.status, r.body)
	}
}

func get200(t testing.TB, s *Server, path string) reply {
	t.Helper()
	r := ask(t, client(t), s.URL(), http.MethodGet, path, "")
	if r.status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, r.status, r.body)
	}
	return r
}

// dial opens a connection that fails after ten seconds.
func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	network, addr := "tcp", s.Addr()
	if path, unix := socketPath(addr); unix {
		network, addr = "unix", path
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// wire returns the bytes of a POST of JSON.
func wire(path, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
	for _, h := range headers {
		fmt.Fprintf(&b, "%s\r\n", h)
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// put sends bytes on a connection.
func put(t testing.TB, c net.Conn, data string) {
	t.Helper()
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
}

// exchange sends bytes on a new connection, and reads until the connection ends. A clean end is no error.
func exchange(t testing.TB, s *Server, data string) (string, error) {
	t.Helper()
	c := dial(t, s)
	put(t, c, data)
	got, err := io.ReadAll(c)
	return string(got), err
}

// await waits until the load satisfies a condition.
func await(t testing.TB, s *Server, condition func(Load) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Await(ctx, condition); err != nil {
		t.Fatalf("load is %+v: %v", s.Load(), err)
	}
}

func idle(l Load) bool { return l.Running == 0 && l.Waiting == 0 && l.Requests == 0 }

const (
	chatBody   = `{"model":"tiny","messages":[{"role":"user","content":"Hello there"}],"max_tokens":3}`
	chatSSE    = `{"model":"tiny","messages":[{"role":"user","content":"Hello there"}],"max_tokens":3,"stream":true}`
	chatPath   = "/v1/chat/completions"
	tokensBody = `{"model":"tiny","prompt":[5,6,7],"max_tokens":3}`
	tokensSSE  = `{"model":"tiny","prompt":[5,6,7],"max_tokens":3,"stream":true}`
)
