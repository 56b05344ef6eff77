// Package vectors tests the front door: tables of requests and answers as bytes, each with its expected outcome, sent over TCP
// to the built binary. The tables also document what tether accepts and refuses:
//
//	go test -v -run Vectors ./e2e/vectors
//
// The texts are our own. They try what is known to make two readers of the same bytes disagree: the sections of RFC 9110 and 9112
// that they name, and the ideas of the public test sets of llhttp, http-desync-guardian, Envoy and HAProxy.
package vectors

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"tether/e2e/binary"
)

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// class is a group of vectors about one thing.
type class struct {
	name    string
	vectors []vector
}

// vector is a request, well-formed or not, and its expected outcome. Each one tries another rule, or another way around a rule.
type vector struct {
	name string
	raw  string // what the client sends; nextRequest follows it
	want outcome
}

// nextRequest follows every vector. After a vector that is refused, it is the request that an attacker wants to smuggle, and must
// never arrive. After the others, it shows that both sides agree where the vector ended.
const nextRequest = "GET /v1/responses/behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// outcome is the expected outcome of a vector.
type outcome struct {
	// upstream has the requests that the upstream receives, in this order, and no others.
	upstream []message
	// statuses are the statuses of all answers. Each request of upstream has a 200 among them.
	statuses []int
	// closes reports whether the connection ends after the last answer, so that nextRequest is not read.
	closes bool
	// halfClosed reports whether the client closes its sending side right after the vector.
	halfClosed bool
	// ours reports whether a list or a limit of tether decides, and no rule of HTTP.
	ours bool
}

// refused is the outcome of a vector that is answered with status, after which the connection is closed. The upstream receives
// nothing of the vector. The requests before it on the connection are answered.
func refused(status int, before ...message) outcome {
	return outcome{upstream: before, statuses: append(oks(before), status), closes: true}
}

// forwarded is the outcome of a vector that reaches the upstream as exactly these requests. The connection stays open.
func forwarded(m ...message) outcome { return outcome{upstream: m, statuses: oks(m)} }

// last is forwarded, after which the connection is closed.
func last(m ...message) outcome { return outcome{upstream: m, statuses: oks(m), closes: true} }

// notExposed is the outcome of a request that tether itself answers with status. The connection stays open, because the framing is
// not in doubt.
func notExposed(status int) outcome { return outcome{statuses: []int{status}, ours: true} }

// notExposedLast is notExposed for a request with a body. tether does not read the body and closes the connection.
func notExposedLast(status int) outcome {
	return outcome{statuses: []int{status}, closes: true, ours: true}
}

// overLimit is the outcome of a vector that is refused for its size.
func overLimit(status int) outcome { return outcome{statuses: []int{status}, closes: true, ours: true} }

// unfinished is the outcome of a request that is never whole, because the client sends no more. It gets no answer, and the upstream
// receives nothing.
func unfinished() outcome { return outcome{closes: true, halfClosed: true} }

func oks(m []message) []int { return slices.Repeat([]int{200}, len(m)) }

// message is a request as the upstream must receive it.
type message struct {
	line   string // method and path
	host   string // the client's Host, "" for none
	fields string // the client's fields that are passed on, unchanged
	body   string
}

// chatted is POST /v1/chat/completions as the upstream must receive it.
func chatted(fields, body string) message {
	return message{"POST /v1/chat/completions", "a", fields, body}
}

// got is a GET without a body as the upstream must receive it.
func got(path string) message { return message{line: "GET " + path, host: "a"} }

// bytes returns the whole request: the upstream's Host, the client's fields in their order and spelling, tether's own fields, and the
// one length.
func (m message) bytes() string {
	text := m.line + " HTTP/1.1\r\nHost: {upstream}\r\n" + m.fields + "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
	if m.host != "" {
		text += "X-Forwarded-Host: " + m.host + "\r\n"
	}
	text += "Via: 1.1 tether\r\nX-Request-Id: {uuid}\r\n"
	if strings.HasPrefix(m.line, "POST ") || m.body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(m.body))
	}
	return text + "\r\n" + m.body
}

// uuid matches a request id, which differs from run to run.
var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// bytes returns the request with placeholders for what differs from run to run.
func (r *request) bytes() string {
	return uuid.ReplaceAllString(strings.Replace(r.raw, "Host: "+strings.Join(r.values("Host"), ""), "Host: {upstream}", 1), "{uuid}")
}

// observed is the actual outcome of a vector.
type observed struct {
	upstream []*request
	statuses []int
	bodies   []string
	err      error // why the connection did not end in good order
}

// try sends a vector in pieces of size bytes and returns the actual outcome.
func try(t *testing.T, addr string, s *server, v vector, size int) (got observed) {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if v.want.halfClosed {
		send(c, v.raw, size)
		c.CloseWrite()
	} else {
		send(c, v.raw+nextRequest, size)
	}
	got.read(c)
	got.upstream = s.take()
	return got
}

// read reads answers until the connection ends.
func (g *observed) read(c io.Reader) {
	for r := bufio.NewReader(c); ; {
		if _, err := r.Peek(1); err != nil {
			if err != io.EOF {
				g.err = err
			}
			return
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			g.err = err
			return
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			g.err = err
			return
		}
		if res.StatusCode != 100 {
			g.statuses, g.bodies = append(g.statuses, res.StatusCode), append(g.bodies, string(body))
		}
	}
}

// fault says how the actual outcome differs from the expected one. It is empty where they are equal.
func (g *observed) fault(want outcome) string {
	want = want.withNextRequest()
	for i, m := range want.upstream {
		switch {
		case i >= len(g.upstream):
			return fmt.Sprintf("the upstream never received %s", m.line)
		case g.upstream[i].bytes() != m.bytes():
			return fmt.Sprintf("the upstream received %s, want %s", oneLine(g.upstream[i].bytes()), oneLine(m.bytes()))
		}
	}
	if len(g.upstream) > len(want.upstream) {
		return "the upstream received what it must not: " + oneLine(g.upstream[len(want.upstream)].raw)
	}
	if !slices.Equal(g.statuses, want.statuses) {
		return fmt.Sprintf("answered with %v, want %v", g.statuses, want.statuses)
	}
	if g.err != nil {
		return fmt.Sprintf("the connection ended with %v", g.err)
	}
	if strings.Contains(strings.Join(g.bodies, ""), loopback) {
		return "the answer contains an address"
	}
	return g.mixedUp(want)
}

// loopback is the upstream's address, which no answer may contain.
const loopback = "127.0.0.1"

// mixedUp says which answer belongs to another request. It is empty where none does. The upstream answers with the path.
func (g *observed) mixedUp(want outcome) string {
	n := 0
	for i, status := range g.statuses {
		if status != 200 {
			continue
		}
		if _, path, _ := strings.Cut(want.upstream[n].line, " "); g.bodies[i] != path {
			return fmt.Sprintf("answer %d is %q, which belongs to another request", i, g.bodies[i])
		}
		n++
	}
	return ""
}

// withNextRequest returns the outcome of the vector and of nextRequest together.
func (o outcome) withNextRequest() outcome {
	if !o.closes {
		o.upstream = append(slices.Clip(o.upstream), got("/v1/responses/behind"))
		o.statuses = append(slices.Clip(o.statuses), 200)
	}
	return o
}

// String describes the outcome in a few words.
func (o outcome) String() string {
	var words []string
	if n := len(o.upstream); n == 1 {
		words = append(words, "forwarded")
	} else if n > 1 {
		words = append(words, fmt.Sprintf("%d forwarded", n))
	}
	for _, status := range o.statuses {
		if status != 200 {
			words = append(words, fmt.Sprint(status))
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	if o.closes {
		words = append(words, "closed")
	}
	return strings.Join(words, ", ")
}

// Every vector is sent whole, byte by byte, and in larger pieces that do not match its parts. The outcome is always the same.
func TestVectors(t *testing.T) {
	s, addr := tether(t)
	var rows table
	for _, class := range requests {
		t.Run(class.name, func(t *testing.T) {
			for _, v := range class.vectors {
				t.Run(v.name, func(t *testing.T) {
					for _, size := range sizes(v.raw + nextRequest) {
						got := try(t, addr, s, v, size)
						if fault := got.fault(v.want); fault != "" {
							t.Errorf("in pieces of %d: %s", size, fault)
						}
					}
					rows.add(class.name, v.name, v.want.String(), verdict(t))
				})
			}
		})
	}
	rows.print(t, "class", "request", "expected", "tether")
}

// sizes returns the sizes of the pieces to send a text in: whole, byte by byte if the text is short, and larger pieces.
func sizes(text string) []int {
	return []int{len(text), max(1, len(text)/400), max(7, len(text)/100), max(64, len(text)/10)}
}

// tether runs the binary in front of a new server.
func tether(t *testing.T) (s *server, addr string) {
	t.Helper()
	t.Cleanup(func() {
		if left := s.take(); len(left) > 0 {
			t.Errorf("the upstream received after the last vector: %s", oneLine(left[0].raw))
		}
	})
	s = newServer(t)
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte("health:\n  metrics_path: \"\"\n"), 0o600); err != nil { // so that the vectors alone ask for /metrics
		t.Fatal(err)
	}
	p := binary.Run(t, []string{"http://" + s.addr}, "-c", config)
	return s, strings.TrimPrefix(p.URL, "http://")
}

func verdict(t *testing.T) string {
	if t.Failed() {
		return "NO"
	}
	return "yes"
}

// table is printed by "go test -v", one line for each row.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(to testing.TB, head ...string) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, t.rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		to.Fatal(err)
	}
	to.Logf("\n%s", &text)
}
