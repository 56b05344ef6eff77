package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tether/session"
	"tether/session/identity"
	"tether/session/pins"
	"tether/session/prefill"
	"tether/units"
	"tether/upstream"
)

func reader(t testing.TB) (*Proxy, *identity.Identifier) {
	t.Helper()
	cfg := Default()
	cfg.MaxHeader, cfg.MaxBody, cfg.MaxBodyTotal = 1*units.KiB, 2*units.KiB, units.Share{Bytes: units.GiB}
	cfg.Expose = []string{"POST /custom/*"}
	s := identity.Default()
	ids, err := identity.NewIdentifier(&s, &identity.Models{}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Settings{Config: cfg, Identifier: ids}, Deps{
		Registry: upstream.NewRegistry(nil), Router: session.NewRouter(session.Default(), pins.NewMap(1000, time.Hour), pins.NewMap(1000, session.ResponsesTTL), prefill.New(prefill.Default()), rand.IntN),
		Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, ids
}

// A captured request is read in the same way however its lines end, and however its body is framed.
func TestReadFramings(t *testing.T) {
	p, ids := reader(t)
	body := `{"model":"m","session_id":"s",` + "\n" + `"messages":[]}`
	want := ids.Key([]byte("m"), ids.Hashed([]byte("s")))
	head := "POST /v1/chat/completions HTTP/1.1\nHost: h\n"
	chunked := fmt.Sprintf("%x\n%s\n%X;ext=1\n%s\n0\n\n", 10, body[:10], len(body)-10, body[10:])
	for name, raw := range map[string]string{
		"length":           fmt.Sprintf("%sContent-Length: %d\n\n%s", head, len(body), body),
		"length, and more": fmt.Sprintf("%sContent-Length: %d\n\n%s\n\n", head, len(body), body),
		"too much length":  fmt.Sprintf("%sContent-Length: %d\n\n%s", head, len(body)+100, body),
		"no length":        head + "\n" + body + "\n",
		"chunked":          head + "Transfer-Encoding: chunked\n\n" + chunked,
		"empty line first": "\n" + head + "\n" + body,
		"query":            strings.Replace(head, " HTTP", "?a=b HTTP", 1) + "\n" + body,
	} {
		r := p.Read([]byte(raw), time.Now(), false)
		if r.Status != 0 || r.Request.Key != want || r.Path != "/v1/chat/completions" || r.Source.String() != "body:session_id" {
			t.Errorf("%s: %+v", name, r)
		}
		crlf := strings.ReplaceAll(strings.ReplaceAll(raw, "\n", "\r\n"), strings.ReplaceAll(body, "\n", "\r\n"), body)
		crlf = strings.ReplaceAll(crlf, strings.ReplaceAll(body[10:], "\n", "\r\n"), body[10:])
		if r := p.Read([]byte(crlf), time.Now(), false); r.Status != 0 || r.Request.Key != want {
			t.Errorf("%s with CRLF: %+v", name, r)
		}
	}
}

func TestReadRefusals(t *testing.T) {
	p, _ := reader(t)
	for _, c := range []struct {
		raw     string
		status  int
		refused string
	}{
		{"", 400, "no whole request head"},
		{"\r\n", 400, "malformed request line"},
		{"hello", 400, "malformed request line"},
		{"GET / HTTP/1.1\n", 400, "want exactly one valid Host, or none on HTTP/1.0"},
		{"GET / HTTP/1.1\nHost: a\nHost: b\n\n", 400, "want exactly one valid Host, or none on HTTP/1.0"},
		{"GET / HTTP/2.0\nHost: a\n\n", 505, "HTTP version not supported"},
		{"GET / HTTP/1.1\nHost: a\nX-Long: " + strings.Repeat("x", 2000) + "\n\n", 431, "request head too large"},
		{"GET / HTTP/1.1\nHost: a\n" + strings.Repeat("x: y\n", 100) + "\n", 431, "too many header fields"},
		{strings.Repeat("x: y\n", 1000), 400, "malformed request line"},
		{"GET / HTTP/1.1\nHost: a\n\n", 404, "This path is not served here."},
		{"GET /v1/../sleep HTTP/1.1\nHost: a\n\n", 404, "This path is not served here."},
		{"GET /v1/chat/completions HTTP/1.1\nHost: a\n\n", 405, "This path does not take this method."},
		{"POST /v1/chat/completions HTTP/1.1\nHost: a\n\n" + strings.Repeat("x", 3000), 413, "The request's body is larger than this server takes."},
		{"POST /v1/chat/completions HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nab", 400, "The request body's chunked coding is malformed."},
		{"POST /v1/chat/completions HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n{}", 400, "The request body's chunked coding is malformed."},
		{"POST /v1/chat/completions HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 1\n\n{}", 400, "Content-Length with Transfer-Encoding"},
		{"GET /v1/realtime HTTP/1.1\nHost: a\n\n", 426, faultUpgrade.message},
		{strings.Replace(handshake("/v1/realtime"), "1.1", "1.0", 1), 426, faultUpgrade.message},
		{handshake("/v1/realtime", "Content-Length: 1") + "x", 400, faultWebSocket.message},
		{handshake("/v1/realtime", "Upgrade: websocket"), 400, faultWebSocket.message},
	} {
		if r := p.Read([]byte(c.raw), time.Now(), false); r.Status != c.status || r.Refused != c.refused {
			t.Errorf("%.40q: %d %q, want %d %q", c.raw, r.Status, r.Refused, c.status, c.refused)
		}
	}
}

// The note says what decides where a request goes, besides its session.
func TestReadNotes(t *testing.T) {
	p, ids := reader(t)
	for _, c := range []struct {
		line, fields, body, path, note string
		session, place                 bool
	}{
		{line: "GET /v1/models", path: "/v1/models", note: "tether answers this by itself"},
		{line: "POST /v1/embeddings", body: `{"session_id":"s"}`, path: "/v1/embeddings", note: "calls of this path have no affinity"},
		{line: "OPTIONS /v1/responses", path: "preflight", note: "calls of this path have no affinity"},
		{line: "POST /custom/x", path: "exposed", note: "calls of this path have no affinity"},
		{
			line: "POST /v1/completions", fields: "X-Tether-Affinity: off\nX-Session-Id: s\n", path: "/v1/completions",
			note: "the request wants no affinity: X-Tether-Affinity: off",
		},
		{line: "POST /v1/completions", body: "{", path: "/v1/completions", note: "the body is no JSON object: tether finds no id in it, and makes none up"},
		{line: "POST /v1/completions", body: "{}", path: "/v1/completions", session: true},
		{
			line: "GET /v1/responses/resp_1", path: "/v1/responses/{id}", place: true,
			note: "it is about a stored response: it goes to the server that made the response; if that is unknown, by its session, or else by the response's id",
		},
	} {
		r := p.Read([]byte(c.line+" HTTP/1.1\nHost: h\n"+c.fields+"\n"+c.body), time.Now(), false)
		if r.Status != 0 || r.Path != c.path || r.Note != c.note || (r.Request.Key != identity.Key{}) != c.session || (r.Request.Response != identity.Key{}) != c.place {
			t.Errorf("%s: %+v", c.line, r)
		}
		var anonymous identity.Search
		anonymous.Begin(ids)
		if c.place && r.Request.Response != ids.Response(anonymous.Caller(), []byte("resp_1")) {
			t.Error("another key than that of the response's id")
		}
	}
}

// A WebSocket's handshake is read with its query. Bytes that were captured after it do not count.
func TestReadHandshake(t *testing.T) {
	p, ids := reader(t)
	for raw, want := range map[string]session.Request{
		handshake("/v1/realtime?model=m", "X-Session-Id: s"): {Key: ids.Key([]byte("m"), []byte("s")), Model: []byte("m")},
		handshake("/v1/realtime?session_id=s&model=m"):       {Key: ids.Key([]byte("m"), ids.Hashed([]byte("s"))), Model: []byte("m")},
		handshake("/v1/realtime?prompt_cache_key=s") + `{"session_id":"other"}` + strings.Repeat("\x81", 10_000): {
			Key: ids.Key(nil, ids.Hashed([]byte("s"))), Shared: true,
		},
	} {
		r := p.Read([]byte(raw), time.Now(), false)
		if r.Status != 0 || r.Method != "GET" || r.Path != "/v1/realtime" || r.Note != "" || r.Request.Key != want.Key || string(r.Request.Model) != string(want.Model) || r.Request.Shared != want.Shared {
			t.Errorf("%.60q: %+v", raw, r)
		}
		if lf := p.Read([]byte(strings.ReplaceAll(raw, "\r\n", "\n")), time.Now(), false); lf.Request.Key != want.Key {
			t.Errorf("%.60q with LF: %+v", raw, lf)
		}
	}
	if r := p.Read([]byte(handshake("/v1/realtime")), time.Now(), false); !r.Request.Synthetic || r.Source.Kind != 0 || r.Request.Key.IsZero() {
		t.Errorf("without an id: %+v", r)
	}
}

// FuzzRead: no capture panics or yields an invalid state, and the session of a correctly framed one is found.
func FuzzRead(f *testing.F) {
	f.Add([]byte("POST /v1/chat/completions HTTP/1.1\nHost: h\n\n{}"), []byte(`{"session_id":"s"}`))
	f.Add([]byte("POST /v1/responses HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), []byte("{}"))
	f.Add([]byte("GET /v1/responses/a HTTP/1.0\nHost: h\nX-Session-Id: s\n"), []byte("\r\n"))
	f.Add([]byte(handshake("/v1/realtime?session_id=%41")), []byte("{}"))
	p, _ := reader(f)
	f.Fuzz(func(t *testing.T, raw, body []byte) {
		r := p.Read(raw, time.Now(), false)
		if r.Status == 0 && r.Path == "" || r.Status != 0 && r.Refused == "" {
			t.Fatalf("%+v", r)
		}
		if len(body) == 0 || len(body) > 2<<10 {
			return
		}
		const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n"
		plain := p.Read(fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body), time.Now(), false)
		half := len(body) / 2
		for _, chunks := range []string{
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body),
			fmt.Sprintf("1\n%s\n%x\n%s\n0\n\n", body[:1], max(len(body)-1, 0), body[1:]),
			fmt.Sprintf("%x;x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", max(half, 1), body[:max(half, 1)], len(body)-max(half, 1), body[max(half, 1):]),
		} {
			chunked := p.Read([]byte(head+"Transfer-Encoding: chunked\r\n\r\n"+chunks), time.Now(), false)
			if len(body) > 1 && (plain.Source != chunked.Source || plain.Source.Kind != 0 && plain.Request.Key != chunked.Request.Key) {
				t.Fatalf("%q: %+v, chunked %+v", body, plain, chunked)
			}
		}
	})
}
