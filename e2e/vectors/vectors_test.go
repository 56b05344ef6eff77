// Package vectors is the proof of the front door: tables of requests and answers as bytes, sent over TCP to the built
// binary, with what has to become of each. They are read as documentation of what tether takes and refuses:
//
//	go test -v -run Vectors ./e2e/vectors
//
// The texts are our own. What they try is what is known to part two readers of the same bytes: the sections of RFC 9110
// and 9112 that they name, and the ideas behind the public sets of llhttp, http-desync-guardian, Envoy and HAProxy.
package vectors

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
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

// vector is a request, or what passes for one, and what has to become of it. Each tries another rule, or another way
// around one.
type vector struct {
	name string
	raw  string // what the client sends; behind follows it
	want outcome
}

// behind follows every vector. Behind one that is refused it is the request that somebody wants to smuggle, and must never
// arrive; behind the others it shows that both sides agree where the vector ended.
const behind = "GET /v1/responses/behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// outcome is what becomes of a vector.
type outcome struct {
	// upstream is what the upstream gets, in this order, and nothing else.
	upstream []message
	// statuses are those of the answers, one of 200 for each of the upstream's among them.
	statuses []int
	// ends tells that the connection ends with the last of them, so that what is behind is not looked at.
	ends bool
	// cut tells that the client shuts its sending half right behind the vector.
	cut bool
	// ours tells that it is a list or a limit of tether's that decides.
	ours bool
}

// refused is answered with status, and the connection is closed. The upstream sees nothing of it; what stood before it on
// the connection is answered.
func refused(status int, before ...message) outcome {
	return outcome{upstream: before, statuses: append(oks(before), status), ends: true}
}

// forwarded reaches the upstream as exactly these requests, and the connection goes on.
func forwarded(m ...message) outcome { return outcome{upstream: m, statuses: oks(m)} }

// last is forwarded, and ends the connection.
func last(m ...message) outcome { return outcome{upstream: m, statuses: oks(m), ends: true} }

// notExposed is answered by tether itself with status, and the connection goes on: its framing is in no doubt.
func notExposed(status int) outcome { return outcome{statuses: []int{status}, ours: true} }

// notExposedLast is notExposed where a body was announced: it is not read, and the connection is closed.
func notExposedLast(status int) outcome {
	return outcome{statuses: []int{status}, ends: true, ours: true}
}

// overLimit is refused for its size.
func overLimit(status int) outcome { return outcome{statuses: []int{status}, ends: true, ours: true} }

// unfinished is never whole, since the client sends no more: nobody hears of it.
func unfinished() outcome { return outcome{ends: true, cut: true} }

func oks(m []message) []int { return slices.Repeat([]int{200}, len(m)) }

// message is a request as the upstream has to get it.
type message struct {
	line   string // method and path
	host   string // what the client says in Host
	fields string // those of the client's that are passed on, as they came
	body   string
}

// chatted is a request of POST /v1/chat/completions.
func chatted(fields, body string) message {
	return message{"POST /v1/chat/completions", "a", fields, body}
}

// got is a request without a body.
func got(path string) message { return message{line: "GET " + path, host: "a"} }

// bytes is the message to the last byte: the upstream's Host, the client's fields in their order and spelling, tether's own
// fields, and the one length.
func (m message) bytes() string {
	text := m.line + " HTTP/1.1\r\nHost: {upstream}\r\n" + m.fields +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: " + m.host + "\r\nVia: 1.1 tether\r\nX-Request-Id: {uuid}\r\n"
	if strings.HasPrefix(m.line, "POST ") || m.body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(m.body))
	}
	return text + "\r\n" + m.body
}

// uuid is what differs from run to run in a request id.
var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// bytes are those of a request, with names in the place of what differs from run to run.
func (r *request) bytes() string {
	return uuid.ReplaceAllString(strings.Replace(r.raw, "Host: "+strings.Join(r.values("Host"), ""), "Host: {upstream}", 1), "{uuid}")
}

// seen is what became of a vector.
type seen struct {
	upstream []*request
	statuses []int
	bodies   []string
	err      error // why the connection did not end in good order
}

// try sends a vector in pieces of size bytes.
func try(t *testing.T, addr string, s *server, v vector, size int) (got seen) {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	if v.want.cut {
		send(c, v.raw, size)
		c.CloseWrite()
	} else {
		send(c, v.raw+behind, size)
	}
	got.read(c)
	got.upstream = s.take()
	return got
}

// read reads answers until the connection ends.
func (g *seen) read(c io.Reader) {
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

// fault says how what was seen differs from what has to be, "" where it does not.
func (g *seen) fault(want outcome) string {
	want = want.withBehind()
	for i, m := range want.upstream {
		switch {
		case i >= len(g.upstream):
			return fmt.Sprintf("the upstream never got %s", m.line)
		case g.upstream[i].bytes() != m.bytes():
			return fmt.Sprintf("the upstream got %s, want %s", oneLine(g.upstream[i].bytes()), oneLine(m.bytes()))
		}
	}
	if len(g.upstream) > len(want.upstream) {
		return "the upstream got what it must not: " + oneLine(g.upstream[len(want.upstream)].raw)
	}
	if !slices.Equal(g.statuses, want.statuses) {
		return fmt.Sprintf("answered with %v, want %v", g.statuses, want.statuses)
	}
	if g.err != nil {
		return fmt.Sprintf("the connection ended with %v", g.err)
	}
	if strings.Contains(strings.Join(g.bodies, ""), loopback) {
		return "an address shows"
	}
	return g.mixedUp(want)
}

// loopback is where the upstream lives, which nobody may learn.
const loopback = "127.0.0.1"

// mixedUp says which of the upstream's answers is not that of its request: the upstream answers with the path.
func (g *seen) mixedUp(want outcome) string {
	n := 0
	for i, status := range g.statuses {
		if status != 200 {
			continue
		}
		if _, path, _ := strings.Cut(want.upstream[n].line, " "); g.bodies[i] != path {
			return fmt.Sprintf("answer %d is %q, that of another request", i, g.bodies[i])
		}
		n++
	}
	return ""
}

// withBehind is the outcome with that of what stands behind the vector.
func (o outcome) withBehind() outcome {
	if !o.ends {
		o.upstream = append(slices.Clip(o.upstream), got("/v1/responses/behind"))
		o.statuses = append(slices.Clip(o.statuses), 200)
	}
	return o
}

// String is the outcome in a few words.
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
	if o.ends {
		words = append(words, "closed")
	}
	return strings.Join(words, ", ")
}

// Every vector is sent whole, byte by byte, and in larger pieces that fall across its parts: how it is split makes no
// difference.
func TestVectors(t *testing.T) {
	s, addr := tether(t)
	var rows table
	for _, class := range requests {
		t.Run(class.name, func(t *testing.T) {
			for _, v := range class.vectors {
				t.Run(v.name, func(t *testing.T) {
					for _, size := range sizes(v.raw + behind) {
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

// sizes are the pieces to send a text in: whole, byte by byte where it is short, and in larger ones.
func sizes(text string) []int {
	return []int{len(text), max(1, len(text)/400), max(7, len(text)/100), max(64, len(text)/10)}
}

// tether runs the binary in front of a server of these tests.
func tether(t *testing.T) (s *server, addr string) {
	t.Helper()
	t.Cleanup(func() {
		if left := s.take(); len(left) > 0 {
			t.Errorf("the upstream got in the end: %s", oneLine(left[0].raw))
		}
	})
	s = newServer(t)
	p := binary.Run(t, []string{"http://" + s.addr})
	return s, strings.TrimPrefix(p.URL, "http://")
}

func verdict(t *testing.T) string {
	if t.Failed() {
		return "NO"
	}
	return "yes"
}

// table is what "go test -v" prints, a line a row.
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
