package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tether/failure"
	"tether/session"
	"tether/session/identity"
	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
)

const realtimePath = "/v1/realtime"

// The key of RFC 6455 1.3, and the answer to it.
const (
	rfcKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshake is the head of a WebSocket's request.
func handshake(target string, fields ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: tether\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + rfcKey + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n\r\n"

// scripted is a rig in front of a script, with a tunnel through it.
func scripted(t *testing.T, options ...option) (r *rig, c, up *rawConn) {
	t.Helper()
	s := newScript(t)
	r = newRig(t, []string{s.url()}, options...)
	c = r.dial()
	c.send(handshake(realtimePath, sid))
	up = s.next()
	up.request()
	up.send(switching)
	c.switched()
	return r, c, up
}

// switched reads the 101.
func (c *rawConn) switched() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 {
		c.t.Fatalf("%+v, %v", res, err)
	}
	return res
}

// expect reads what the other side sent.
func (c *rawConn) expect(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
		c.t.Fatalf("%.100q, %v, want %.100q", got, err, text)
	}
}

// socket is a client library's WebSocket through the proxy.
type socket struct {
	*websocket.Conn
	t    testing.TB
	head *http.Response
}

func (r *rig) socket(query string, headers ...string) *socket {
	r.t.Helper()
	w, err := r.trySocket(query, headers...)
	r.must(err)
	return w
}

func (r *rig) trySocket(query string, headers ...string) (*socket, error) {
	header := http.Header{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Add(name, value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport, scheme := &http.Transport{TLSClientConfig: r.client}, "ws://"
	if r.client != nil {
		scheme = "wss://"
	}
	defer transport.CloseIdleConnections()
	ws, res, err := websocket.Dial(ctx, scheme+r.addr+realtimePath+query, &websocket.DialOptions{
		HTTPHeader: header, HTTPClient: &http.Client{Transport: transport}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		return nil, fmt.Errorf("%v: %w", res, err)
	}
	r.t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(-1)
	return &socket{Conn: ws, t: r.t, head: res}, nil
}

// hear reads one event and checks its beginning.
func (w *socket) hear(want string) string {
	w.t.Helper()
	event, err := w.next()
	if err != nil || !strings.HasPrefix(event, want) {
		w.t.Fatalf("%.200s, %v, want %s", event, err, want)
	}
	return event
}

func (w *socket) next() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, event, err := w.Read(ctx)
	return string(event), err
}

func (w *socket) say(event string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Write(ctx, websocket.MessageText, []byte(event)); err != nil {
		w.t.Fatal(err)
	}
}

const (
	created = `{"type":"session.created"`
	update  = `{"type":"session.update","model":"tiny"}`
	commit  = `{"type":"input_audio_buffer.commit"}`
	final   = `{"type":"input_audio_buffer.commit","final":true}`
)

func audio(n int) string {
	return `{"type":"input_audio_buffer.append","audio":"` + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("sound"), n/5+1)) + `"}`
}

// A whole transcription by a client library, compressed, with large messages. The server and the record have all of it.
func TestRealtime(t *testing.T) {
	r := fleet(t, 3, sim.Config{AnswerTokens: 3})
	w := r.socket("?model=tiny&x=%20y", sid, "Sec-WebSocket-Protocol: realtime, other", "X-Own: kept")
	for name, want := range map[string]string{
		"X-Session-Id": "s-1", "X-Tether-Affinity": "new", "Upgrade": "websocket", "Connection": "Upgrade", "X-Tether-Upstream": "",
	} {
		if got := w.head.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w.head.Header.Get("X-Request-Id") == "" || w.head.Header.Get("Sec-WebSocket-Extensions") == "" || w.head.StatusCode != 101 {
		t.Errorf("%d %v", w.head.StatusCode, w.head.Header)
	}
	w.hear(created)
	w.say(update)
	w.say(commit)
	for range 20 {
		w.say(audio(300_000))
		for range 3 {
			w.hear(`{"type":"transcription.delta"`)
		}
	}
	if u := r.up(0).InFlight() + r.up(1).InFlight() + r.up(2).InFlight(); u != 1 || r.proxy.InFlight() != 1 {
		t.Errorf("%d in flight at the upstreams, %d in the proxy, want one", u, r.proxy.InFlight())
	}
	w.say(final)
	w.hear(`{"type":"transcription.done"`)
	if err := w.Close(websocket.StatusNormalClosure, "thanks"); err != nil {
		t.Error(err)
	}
	rec := r.recorded(1)
	if rec.Status != 101 || rec.Reason != "" || rec.Route != realtimePath || string(rec.Model) != "tiny" || rec.Outcome != session.New || rec.FirstByte != 0 {
		t.Errorf("%+v", rec)
	}
	if rec.BytesIn < 1000 || rec.BytesOut < 1000 || rec.Attempts != 1 || rec.Tries[0].Failure != failure.None {
		t.Errorf("%+v", rec)
	}
	r.awaitLoad(0, func(sim.Load) bool { return count(r.sims) == 1 })
	home := r.simOf(rec.Upstream)
	seen := home.Requests()[0]
	for name, want := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Protocol": "realtime, other",
		"X-Own": "kept", "X-Session-Id": "s-1", "Via": "1.1 tether", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": r.addr,
	} {
		if got := strings.Join(seen.Header.Values(name), "|"); got != want {
			t.Errorf("%s at the server: %q, want %q", name, got, want)
		}
	}
	if seen.Target != realtimePath+"?model=tiny&x=%20y" || seen.Header.Get("Sec-Websocket-Key") == "" || seen.Header.Get("Sec-Websocket-Extensions") == "" {
		t.Errorf("%s, %v", seen.Target, seen.Header)
	}
	if r.pinned("s-1") != rec.Upstream {
		t.Error("the session is not pinned to where its WebSocket was")
	}
}

// If a server ends a WebSocket in order, the client gets the last message, and that is no failure.
func TestRealtimeServerCloses(t *testing.T) {
	r := fleet(t, 1, sim.Config{StopTimeout: patience})
	w := r.socket("", sid)
	w.hear(created)
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.sims[0].Stop() }()
	if _, err := w.next(); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the client got %v", err)
	}
	<-stopped
	if rec := r.recorded(1); rec.Status != 101 || rec.Reason != "" {
		t.Errorf("recorded as %d, %s", rec.Status, rec.Reason)
	}
}

// A request that is no WebSocket handshake is answered, and reaches no server.
func TestHandshakeRefusals(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	swap := func(old, with string) string {
		h := handshake(realtimePath, sid)
		if !strings.Contains(h, old) {
			t.Fatalf("no %q in the handshake", old)
		}
		return strings.Replace(h, old, with, 1)
	}
	const key, version = "Sec-WebSocket-Key: " + rfcKey + "\r\n", "Sec-WebSocket-Version: 13\r\n"
	refusals := []struct {
		name, request string
		status        int
	}{
		{"no upgrade at all", "GET " + realtimePath + " HTTP/1.1\r\nHost: a\r\n" + sid + "\r\n\r\n", 426},
		{"HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), 426},
		{"no Connection", swap("Connection: Upgrade\r\n", ""), 426},
		{"Connection without upgrade", swap("Connection: Upgrade", "Connection: keep-alive"), 426},
		{"no Upgrade", swap("Upgrade: websocket\r\n", ""), 426},
		{"h2c", swap("websocket", "h2c"), 426},
		{"h2c beside it", swap("websocket", "websocket, h2c"), 426},
		{"another version", swap("Version: 13", "Version: 8"), 426},
		{"two Upgrade fields", swap(key, key+"Upgrade: websocket\r\n"), 400},
		{"no key", swap(key, ""), 400},
		{"two keys", swap(key, key+key), 400},
		{"a short key", swap(rfcKey, "c2hvcnQ="), 400},
		{"no base64", swap(rfcKey, strings.Repeat("*", 24)), 400},
		{"no version", swap(version, ""), 400},
		{"two versions", swap(version, version+version), 400},
		{"a body", swap(key, key+"Content-Length: 4\r\n") + "body", 400},
		{"chunks", swap(key, key+"Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\n\r\n", 400},
		{"another method", swap("GET", "POST"), 405},
		{"another path", swap(realtimePath, realtimePath+"/"), 404},
		{"a path that is not canonical", swap(realtimePath, "/v1//realtime"), 404},
	}
	for i, c := range refusals {
		conn := r.dial()
		conn.send(c.request + handshake(realtimePath)) // the bytes after the first are no request
		_, _ = conn.r.Peek(1)
		peeked, _ := conn.r.Peek(conn.r.Buffered())
		head, _, _ := strings.Cut(string(peeked), "\r\n\r\n") // copied: reading the answer changes the spelling of names
		a := conn.receive()
		if a.StatusCode != c.status || !strings.Contains(a.body, fmt.Sprintf(`"code":%d`, c.status)) || a.Header.Get("X-Session-Id") != "s-1" {
			t.Errorf("%s: %d %v %s, want %d", c.name, a.StatusCode, a.Header, a.body, c.status)
		}
		for _, line := range []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"} {
			if strings.Contains(head, "\r\n"+line) != (c.status == 426) {
				t.Errorf("%s: %s in %s", c.name, line, head)
			}
		}
		if c.status == 400 || c.status == 426 {
			if rest, err := conn.rest(); rest != "" || err != nil || !a.Close {
				t.Errorf("%s: then %q, %v", c.name, rest, err)
			}
			if rec := r.recorded(i + 1); rec.Status != c.status || rec.Route != realtimePath || rec.Reason == "" || rec.Attempts != 0 {
				t.Errorf("%s: %+v", c.name, rec)
			}
		}
		conn.Close()
	}
	for _, seen := range r.sims[0].Requests() { // the handshakes after the 404 and 405
		if seen.Header.Get("X-Session-Id") == "s-1" {
			t.Errorf("the server saw %+v", seen)
		}
	}
}

// On all other paths Upgrade is not forwarded, and there is no tunnel.
func TestUpgradeElsewhere(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()}, func(r *rig) { r.cfg.Expose = []string{"GET /v1/*"} })
	const upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + rfcKey
	for _, protocol := range []string{"websocket", "h2c"} {
		for _, request := range []string{
			post(chatPath, chat("x"), fmt.Sprintf(upgrade, protocol)),
			"GET /v1/other HTTP/1.1\r\nHost: a\r\n" + fmt.Sprintf(upgrade, protocol) + "\r\n\r\n",
			"GET /v1/responses/resp_1 HTTP/1.1\r\nHost: a\r\n" + fmt.Sprintf(upgrade, protocol) + "\r\nContent-Length: 2\r\n\r\n{}",
		} {
			c := r.dial()
			c.send(request)
			up := s.next()
			req, _ := up.request()
			if req.Header.Get("Upgrade") != "" || req.Header.Get("Connection") != "" || req.Header.Get("Http2-Settings") != "" {
				t.Errorf("the server saw %v", req.Header)
			}
			up.send(switching)
			if a := c.receive(); a.StatusCode != 502 || !strings.Contains(a.body, faultBadHead.message) {
				t.Errorf("%d, %s", a.StatusCode, a.body)
			}
			up.ended()
			c.Close()
		}
	}
}

// Where a path has no WebSocket and does not take GET, a handshake gets 426 with what is spoken there (RFC 9110 15.5.22). Codex asks
// POST /v1/responses this way first.
func TestNoWebSocket(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	r.up(0).SetModels(list(`{"id":"tiny"}`))
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"/v1/responses", handshake("/v1/responses", sid), 426},
		{"another call", handshake(chatPath, sid), 426},
		{"a stored response's cancel", handshake("/v1/responses/resp_1/cancel", sid), 426},
		{"without a key", strings.Replace(handshake("/v1/responses", sid), "Sec-WebSocket-Key: "+rfcKey+"\r\n", "", 1), 426},
		{"no upgrade", "GET /v1/responses HTTP/1.1\r\nHost: a\r\n" + sid + "\r\n\r\n", 405},
		{"h2c", strings.Replace(handshake("/v1/responses", sid), "websocket", "h2c", 1), 405},
		{"HTTP/1.0", strings.Replace(handshake("/v1/responses", sid), "HTTP/1.1", "HTTP/1.0", 1), 405},
		{"another method", strings.Replace(handshake("/v1/responses", sid), "GET", "DELETE", 1), 405},
		{"an unknown path", handshake("/v1/other", sid), 404},
		{"a path that takes GET", handshake("/v1/models", sid), 200},
	} {
		conn := r.dial()
		conn.send(c.request)
		a := conn.receive()
		if a.StatusCode != c.status || a.Header.Get("X-Session-Id") != "s-1" {
			t.Errorf("%s: %d %v, want %d", c.name, a.StatusCode, a.Header, c.status)
		}
		if c.status == 426 {
			if a.Header.Get("Upgrade") != "HTTP/1.1" || a.Header.Get("Allow") != "POST" {
				t.Errorf("%s: %v", c.name, a.Header)
			}
			if rest, err := conn.rest(); rest != "" || err != nil || !a.Close {
				t.Errorf("%s: then %q, %v; the connection must end", c.name, rest, err)
			}
		}
		conn.Close()
	}
	if n := count(r.sims); n != 0 {
		t.Errorf("the server got %d requests", n)
	}
}

// A 101 that does not fit the handshake is a malformed answer, and no other server gets the request.
func TestMalformedSwitch(t *testing.T) {
	for name, head := range map[string]string{
		"no Upgrade":       strings.Replace(switching, "Upgrade: websocket\r\n", "", 1),
		"another protocol": strings.Replace(switching, "websocket", "h2c", 1),
		"no Connection":    strings.Replace(switching, "Connection: Upgrade\r\n", "", 1),
		"no Accept":        strings.Replace(switching, "Sec-WebSocket-Accept: "+rfcAccept+"\r\n", "", 1),
		"another Accept":   strings.Replace(switching, rfcAccept, rfcKey, 1),
		"two of them":      strings.Replace(switching, "\r\n\r\n", "\r\nSec-WebSocket-Accept: "+rfcAccept+"\r\n\r\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s, other := newScript(t), sim.New(sim.Config{Record: 10})
			_, err := other.Start("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(other.Stop)
			r := newRig(t, []string{s.url(), other.URL()})
			r.pin("s-1", r.up(0))
			c := r.dial()
			c.send(handshake(realtimePath+"?model=tiny", sid))
			up := s.next()
			up.request()
			up.send(head + "unexpected bytes")
			if a := c.receive(); a.StatusCode != 502 || !strings.Contains(a.body, faultBadHead.message) || !a.Close {
				t.Errorf("%d, %s", a.StatusCode, a.body)
			}
			up.ended()
			if rec := r.recorded(1); rec.Tries[0].Failure != failure.BadHead || rec.Attempts != 1 || len(other.Requests()) != 0 {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// Any other answer is passed on as it is, and the connection ends with it: bytes that the client sent after its handshake were meant
// for a WebSocket, and are no request.
func TestHandshakeIsRefusedByServer(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	for i, answer := range []string{
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 4\r\n\r\nbody",
	} {
		c := r.dial()
		c.send(handshake(realtimePath, sid) + post(chatPath, chat("smuggled")))
		if i == 0 {
			s.next().passAs(answer)
		} else {
			up := s.next()
			up.passAs(answer)
		}
		a := c.receive()
		if !strings.HasPrefix(answer[9:], fmt.Sprint(a.StatusCode)) || a.body != "body" || a.err != nil || !a.Close || a.Header.Get("X-Session-Id") != "s-1" {
			t.Errorf("%d %v %q, %v", a.StatusCode, a.Header, a.body, a.err)
		}
		if rest, err := c.rest(); rest != "" || err != nil {
			t.Errorf("then %q, %v", rest, err)
		}
		if rec := r.recorded(i + 1); rec.Status != a.StatusCode || rec.Reason != "" {
			t.Errorf("%+v", rec)
		}
		r.cold()
	}
}

// passAs answers one request, and checks that nothing follows the request.
func (c *rawConn) passAs(answer string) {
	c.t.Helper()
	c.request()
	c.send(answer)
}

// Before the 101 the rules of all requests hold.
func TestHandshakeFailsOver(t *testing.T) {
	for _, c := range []struct {
		fault           string
		status          int
		outcome, reason string
		attempts        int
	}{
		{"", 101, "pinned", "", 1},
		{"refuse", 101, "moved", "", 2},
		{"reset", 101, "spilled", "", 2},
		{"close", 101, "spilled", "", 2},
		{"503", 101, "spilled", "", 2},
		{"shutdown-text", 101, "pinned", "", 1}, // vLLM refuses later, when its engine is used
		{"500", 500, "pinned", "", 1},
		{"bad-head", 502, "pinned", "bad_answer", 1},
	} {
		t.Run(c.fault, func(t *testing.T) {
			r := fleet(t, 3, sim.Config{})
			r.pin("s-1", r.up(1))
			switch c.fault {
			case "":
			case "refuse":
				r.sims[1].Kill()
			default:
				kind, arg := simfault.Kind(c.fault), ""
				if c.fault == "500" || c.fault == "503" {
					kind, arg = simfault.Status, c.fault
				}
				r.must(r.sims[1].Inject(simfault.Fault{Kind: kind, Arg: arg}))
			}
			conn := r.dial()
			conn.send(handshake(realtimePath+"?model=tiny", sid))
			res, err := http.ReadResponse(conn.r, nil)
			r.must(err)
			if res.StatusCode != c.status || res.Header.Get("X-Tether-Affinity") != c.outcome {
				t.Fatalf("%d, %s, want %d, %s", res.StatusCode, res.Header.Get("X-Tether-Affinity"), c.status, c.outcome)
			}
			if c.status == 101 {
				if _, err := conn.r.Peek(10); err != nil {
					t.Error(err)
				}
				conn.reset()
				c.reason = "client_left"
			}
			if rec := r.recorded(1); rec.Attempts != c.attempts || rec.Reason != c.reason || rec.Status != c.status {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// No byte is lost or changed, wherever heads and bytes are split, and whichever side is early.
func TestTunnelSplitAnywhere(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	request := handshake(realtimePath) + "\x81early"
	answer := switching + "\x82early"
	for _, split := range []int{0, 1, len(request) / 2, len(request) - 7, len(request) - 6, len(request) - 5, len(request) - 1} {
		c := r.dial()
		_ = c.SetNoDelay(true)
		c.send(request[:split])
		time.Sleep(2 * time.Millisecond) // so that it arrives in parts; nothing waits for it
		c.send(request[split:])
		up := s.next()
		up.request()
		at := len(answer) - 1 - (len(request) - 1 - split)
		at = min(max(at, 0), len(answer))
		up.send(answer[:at])
		time.Sleep(2 * time.Millisecond)
		up.send(answer[at:])
		c.switched()
		c.expect("\x82early")
		up.expect("\x81early")
		c.send("\x00\xff")
		up.expect("\x00\xff")
		up.send("HTTP/1.1 200 OK\r\n\r\n")
		c.expect("HTTP/1.1 200 OK\r\n\r\n")
		up.Close()
		c.ended()
		c.Close()
	}
	if rec := r.recorded(1); rec.BytesIn != 8 || rec.BytesOut != 25 || rec.Reason != "" {
		t.Errorf("%d in, %d out, %s", rec.BytesIn, rec.BytesOut, rec.Reason)
	}
}

// Large transfers, both ways at once, arrive unchanged.
func TestTunnelIsTransparent(t *testing.T) {
	r, c, up := scripted(t)
	const size = 16 << 20
	text := make([]byte, size)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(text)
	var all sync.WaitGroup
	for _, d := range [][2]*rawConn{{c, up}, {up, c}} {
		all.Go(func() { _, _ = d[0].Write(text) })
		all.Go(func() {
			got := make([]byte, size)
			if _, err := io.ReadFull(d[1].r, got); err != nil || !bytes.Equal(got, text) {
				t.Errorf("other bytes than were sent, %v", err)
			}
		})
	}
	all.Wait()
	up.Close()
	c.ended()
	if rec := r.recorded(1); rec.BytesIn != size || rec.BytesOut != size || rec.Reason != "" {
		t.Errorf("%d in, %d out, %s", rec.BytesIn, rec.BytesOut, rec.Reason)
	}
}

// The client leaves, in three ways, and the server's connection ends within 100 ms.
func TestTunnelClientLeaves(t *testing.T) {
	for how, leave := range leaving {
		for at, prepare := range map[string]func(c, up *rawConn){
			"idle":                 func(*rawConn, *rawConn) {},
			"the server sends":     func(_, up *rawConn) { go io.Copy(up, endless{}) },
			"unread bytes pending": func(c, _ *rawConn) { c.send(strings.Repeat("x", 100_000)) },
		} {
			t.Run(how+", "+at, func(t *testing.T) {
				r, c, up := scripted(t)
				prepare(c, up)
				started := time.Now()
				leave(c)
				_, _ = io.Copy(io.Discard, up.r)
				if took := time.Since(started); took > 100*time.Millisecond {
					t.Logf("the server saw it after %v", took) // a figure, on a machine that may be busy
					if took > patience/2 {
						t.Error("much too late")
					}
				}
				if rec := r.recorded(1); rec.Status != 101 || rec.Reason != "client_left" || !rec.ClientLeft() {
					t.Errorf("recorded as %d, %s", rec.Status, rec.Reason)
				}
				c.Close()
			})
		}
	}
}

// endless is a reader without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// If a server dies, the client gets no closing frame. The record says that it failed, if tether can know.
func TestTunnelServerDies(t *testing.T) {
	for fault, reason := range map[string]string{"cut-rst": "upstream_cut", "cut-between": ""} {
		t.Run(fault, func(t *testing.T) {
			r := fleet(t, 1, sim.Config{})
			w := r.socket("", "X-Sim-Fault: "+fault)
			w.hear(created)
			if _, err := w.next(); err == nil || websocket.CloseStatus(err) >= 0 {
				t.Errorf("the client takes it for a clean end: %v", err)
			}
			if rec := r.recorded(1); rec.Status != 101 || rec.Reason != reason {
				t.Errorf("recorded as %d, %s", rec.Status, rec.Reason)
			}
		})
	}
	t.Run("killed under a client that sends", func(t *testing.T) {
		r := fleet(t, 1, sim.Config{})
		w := r.socket("")
		w.hear(created)
		go func() {
			for w.Write(context.Background(), websocket.MessageText, []byte(audio(10_000))) == nil {
			}
		}()
		r.sims[0].Kill()
		if _, err := w.next(); err == nil || websocket.CloseStatus(err) >= 0 {
			t.Errorf("the client takes it for a clean end: %v", err)
		}
		if rec := r.recorded(1); rec.Reason != "upstream_cut" {
			t.Errorf("recorded as %s", rec.Reason)
		}
	})
}

// A WebSocket works under TLS on both sides as it does without.
func TestTunnelUnderTLS(t *testing.T) {
	r := secureFleet(t, 2, sim.Config{AnswerTokens: 2, Record: 10})
	w := r.socket("?model=tiny", sid)
	w.hear(created)
	w.say(update)
	w.say(commit)
	for range 10 {
		w.say(audio(300_000))
		w.hear(`{"type":"transcription.delta"`)
		w.hear(`{"type":"transcription.delta"`)
	}
	if err := w.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	rec := r.recorded(1)
	if rec.Status != 101 || rec.Reason != "" || rec.Outcome != session.New {
		t.Errorf("%+v", rec)
	}
	if seen := r.simOf(rec.Upstream).Requests()[0]; seen.Header.Get("X-Forwarded-Proto") != "https" || seen.Aborted {
		t.Errorf("%+v", seen)
	}

	w = r.socket("?model=tiny", sid)
	w.hear(created)
	if err := w.CloseNow(); err != nil {
		t.Error(err)
	}
	for i := range r.sims {
		r.awaitLoad(i, func(l sim.Load) bool { return l.Requests == 0 })
	}
	if rec := r.recorded(2); rec.Reason != "client_left" || rec.Outcome != session.Pinned {
		t.Errorf("%+v", rec)
	}

	w = r.socket("", "X-Sim-Fault: cut-between")
	w.hear(created)
	if _, err := w.next(); err == nil || websocket.CloseStatus(err) >= 0 {
		t.Errorf("the client takes it for a clean end: %v", err)
	}
	r.recorded(3)
}

func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	const idle = 3 * time.Second
	r, c, up := scripted(t, func(r *rig) { r.cfg.IdleTimeout = idle })
	for range 6 { // one side alone may be silent for longer than the limit
		time.Sleep(idle / 5)
		c.send("x")
		up.expect("x")
	}
	up.ended()
	if rest, err := c.rest(); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if rec := r.recorded(1); rec.Status != 101 || rec.Reason != "upstream_idle" || rec.Duration < 2*idle {
		t.Errorf("%d, %s after %v", rec.Status, rec.Reason, rec.Duration)
	}
}

// A client that takes nothing is cut after its limit, and delays its own server only.
func TestTunnelClientTakesNothing(t *testing.T) {
	t.Parallel()
	r, c, up := scripted(t, func(r *rig) { r.cfg.ClientWriteTimeout = time.Second })
	go io.Copy(up, endless{})
	go io.Copy(io.Discard, up.r)
	go func() {
		for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if rec := r.recorded(1); rec.Reason != "client_stalled" || !rec.ClientLeft() || rec.Duration > 10*time.Second {
		t.Errorf("%s after %v", rec.Reason, rec.Duration)
	}
}

// A draining server keeps its WebSockets, and gets no new ones.
func TestTunnelDrain(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	w := r.socket("?model=tiny", sid)
	w.hear(created)
	home := r.pinned("s-1")
	if home == nil {
		t.Fatal("not pinned")
	}
	alive := func() {
		t.Helper()
		w.say("{")
		w.hear(`{"type":"error"`)
	}
	server := func(outcome, query string, headers ...string) *upstream.Upstream {
		t.Helper()
		w := r.socket(query, headers...)
		defer w.CloseNow()
		if got := w.head.Header.Get("X-Tether-Affinity"); got != outcome {
			t.Errorf("%s, want %s", got, outcome)
		}
		for i := range r.sims {
			if fmt.Sprintf("vllm-%d", i) == w.head.Header.Get("X-Sim-Server") {
				return r.up(i)
			}
		}
		return nil
	}
	home.Drain(false)
	alive()
	if server("pinned", "?model=tiny", sid) != home {
		t.Error("a pinned session left a server that drains softly")
	}
	for i := range 10 {
		if server("new", fmt.Sprint("?model=tiny&session_id=new-", i)) == home {
			t.Fatal("a new session went to a draining server")
		}
	}
	home.Drain(true)
	alive()
	if server("moved", "?model=tiny", sid) == home {
		t.Error("a pinned session stayed at a server that drains hard")
	}
	alive()
	r.recorded(12) // all except that one
	if home.InFlight() != 1 {
		t.Errorf("%d in flight", home.InFlight())
	}
}

// During a shutdown WebSockets may finish. Those that do not are cut, and see that.
func TestTunnelShutdown(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	finishes, stays := r.socket(""), r.dial()
	finishes.hear(created)
	stays.send(handshake(realtimePath))
	stays.switched()
	r.proxy.LastAnswers()
	r.listener.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cut := make(chan int, 1)
	go func() { cut <- r.proxy.Shutdown(ctx) }()
	finishes.say("{")
	finishes.hear(`{"type":"error"`)
	if err := finishes.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	r.recorded(1)
	for r.proxy.Connections() > 1 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if n := <-cut; n != 1 {
		t.Errorf("%d connections were cut", n)
	}
	if rest, err := stays.rest(); !isReset(err) {
		t.Errorf("the client got %q, %v, want a reset", rest, err)
	}
	r.awaitLoad(0, func(l sim.Load) bool { return l.Requests == 0 })
}

// The session of a WebSocket is found in header, cookie or query, by the rules of all requests.
func TestRealtimeSession(t *testing.T) {
	r := fleet(t, 8, sim.Config{}, func(r *rig) {
		r.identity.Sources = append([]string{"cookie:chat"}, identity.Default().Sources...)
	})
	at := func(query string, headers ...string) (server, outcome, id string) {
		t.Helper()
		w := r.socket(query, headers...)
		defer w.CloseNow()
		return w.head.Header.Get("X-Sim-Server"), w.head.Header.Get("X-Tether-Affinity"), w.head.Header.Get("X-Session-Id")
	}
	for i := range 5 {
		for _, c := range []struct {
			name, query, header string
			same                []string // other requests of the same session: query, header
		}{
			{name: "header", query: "?model=tiny", header: "X-Session-Id: h-%d"},
			{name: "cookie", query: "?model=tiny", header: "Cookie: a=b; chat=c-%d"},
			{name: "query", query: "?session_id=q-%d&model=tiny", same: []string{"?model=t%%69ny&session%%5fid=%%71-%d", "?x&&=&model=tiny&session_id=q-%[1]d&session_id=%%71-%[1]d"}},
			{name: "another parameter", query: "?prompt_cache_key=p-%d&model=tiny"},
			{name: "and another", query: "?conversation_id=%%20v-%d+&model=tiny", same: []string{"?conversation_id=v-%d&model=tiny"}},
		} {
			fill := func(s string) string { return fmt.Sprintf(s, i) }
			query := c.query
			if strings.Contains(query, "%d") {
				query = fill(query)
			}
			var headers []string
			if c.header != "" {
				headers = []string{fill(c.header)}
			}
			server, outcome, id := at(query, headers...)
			if outcome != "new" || id == "" {
				t.Errorf("%s: %s, id %q", c.name, outcome, id)
			}
			again := func(what, query string, headers ...string) {
				t.Helper()
				if s, o, same := at(query, headers...); s != server || o != "pinned" || same != id {
					t.Errorf("%s, %s: %s %s %s, want %s pinned %s", c.name, what, s, o, same, server, id)
				}
			}
			again("once more", query, headers...)
			again("by the id that came back", "?model=tiny", "X-Session-Id: "+id)
			for _, other := range c.same {
				again(other, fill(other))
			}
			if c.name == "query" { // the same id in a body
				a := r.do("POST", chatPath, strings.Replace(chat("x"), `{`, fill(`{"session_id":"q-%d",`), 1))
				if a.server() != server || a.outcome() != "pinned" || a.Header.Get("X-Session-Id") != id {
					t.Errorf("in a body: %s %s, want %s", a.server(), a.outcome(), server)
				}
				if strings.Contains(id, fill("q-%d")) {
					t.Errorf("the id of a query is shown: %s", id)
				}
			}
		}
	}
	for _, query := range []string{"", "?session_id=", "?session_id=a&session_id=b", "?session_id=a%20b", "?session_id=" + strings.Repeat("x", 257), "?metadata.user_id=x", "?session_id"} {
		_, outcome, id := at(query)
		_, _, other := at(query)
		if outcome != "new" || len(id) != 36 || id == other {
			t.Errorf("%s: %s, ids %s and %s, want random ones", query, outcome, id, other)
		}
	}
	if _, outcome, id := at("?session_id=a", "X-Tether-Affinity: off"); outcome != "none" || id == "" {
		t.Errorf("affinity off: %s, %q", outcome, id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range r.records {
		if bytes.ContainsRune(rec.Path, '?') {
			t.Errorf("recorded with its query: %s", rec.Path)
		}
	}
}

// A long WebSocket keeps its session's pin, whichever side sends.
func TestTunnelKeepsPin(t *testing.T) {
	t.Parallel()
	const ttl = time.Second
	r, c, up := scripted(t, func(r *rig) { r.pinning.TTL = ttl })
	key := r.ids.Key(nil, []byte("s-1"))
	for _, d := range [][2]*rawConn{{c, up}, {up, c}} {
		for started := time.Now(); time.Since(started) < 2*ttl; time.Sleep(ttl / 16) {
			d[0].send("x")
			d[1].expect("x")
			if _, ok := r.pins.Peek(key, time.Now()); !ok {
				t.Fatalf("the pin was forgotten after %v", time.Since(started))
			}
		}
	}
	up.Close()
	c.ended()
}

// After a thousand WebSockets that ended in different ways nothing is left of them.
func TestThousandTunnelsLeaveNothing(t *testing.T) {
	r := fleet(t, 2, sim.Config{Record: 1})
	descriptors, goroutines := resources(t)
	const exits, workers = 1000, 16
	ways := []func(w *socket) error{
		func(w *socket) error { return w.Close(websocket.StatusNormalClosure, "") },
		func(w *socket) error { return w.CloseNow() },
		func(w *socket) error { _, _ = w.next(); return w.CloseNow() }, // of those that are cut
	}
	done := make(chan error, workers)
	for n := range workers {
		go func() {
			for i := range exits / workers {
				way := (n + i) % 5
				if way > 2 {
					if err := r.rawExit(way, i); err != nil {
						done <- err
						return
					}
					continue
				}
				fault := []string{"", "", []string{"cut-rst", "cut-between"}[i%2]}[way]
				var headers []string
				if fault != "" {
					headers = []string{"X-Sim-Fault: " + fault}
				}
				w, err := r.trySocket(fmt.Sprint("?session_id=", i%7), headers...)
				if err == nil {
					err = ways[way](w)
				}
				if err != nil && way != 0 { // the closing handshake may cross with the end of the other side
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	r.allGone(workers, done)
	r.nothingLeft(descriptors, goroutines)
}

// rawExit leaves by reset or half-close, with bytes on their way.
func (r *rig) rawExit(way, i int) error {
	c := r.dial()
	if _, err := io.WriteString(c, handshake(realtimePath)+strings.Repeat("\x81\x00", i)); err != nil {
		return err
	}
	if i%3 > 0 {
		_, _ = c.r.Peek(1)
	}
	if way == 3 {
		c.reset()
		return nil
	}
	_ = c.CloseWrite()
	_, _ = io.Copy(io.Discard, c.r)
	return c.Close()
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && strings.Contains(err.Error(), "reset")
}
