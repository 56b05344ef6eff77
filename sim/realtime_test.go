package sim

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// talk opens a dialog with a server and reads its first event.
func talk(t *testing.T, s *Server, headers ...string) *websocket.Conn {
	t.Helper()
	ws, res, err := try(t, s, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("Server") != "uvicorn" {
		t.Errorf("%d, %v", res.StatusCode, res.Header)
	}
	if first := hear(t, ws); !regexp.MustCompile(`^\{"type":"session.created","id":"sess-[0-9a-f]{16}","created":\d{10}\}$`).MatchString(first) {
		t.Errorf("first event %s", first)
	}
	return ws
}

func try(t *testing.T, s *Server, headers ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	ws, res, err := websocket.Dial(t.Context(), s.URL()+"/v1/realtime", &websocket.DialOptions{
		HTTPClient: client(t), HTTPHeader: header, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err == nil {
		t.Cleanup(func() { ws.CloseNow() })
	}
	return ws, res, err
}

func say(t *testing.T, ws *websocket.Conn, event string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(event)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, event, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(event)
}

func sound(bytes int) string {
	return `{"type":"input_audio_buffer.append","audio":"` + base64.StdEncoding.EncodeToString(make([]byte, bytes)) + `"}`
}

// The events are those of vLLM 0.32.0's own code behind uvicorn, with a simulated engine.
func TestRealtime(t *testing.T) {
	s := start(t, Config{AnswerTokens: 2, Record: 1})
	ws := talk(t, s)
	for _, c := range []struct{ event, want string }{
		{`{`, `{"type":"error","error":"Invalid JSON","code":"invalid_json"}`},
		{`{"type":"x"}`, `{"type":"error","error":"Unknown event type: x","code":"unknown_event"}`},
		{`{"type":"input_audio_buffer.commit"}`, `{"type":"error","error":"Model not validated. Make sure to validate the model by sending a session.update event.","code":"model_not_validated"}`},
		{`{"type":"session.update"}`, `{"type":"error","error":"Missing required field: model","code":"invalid_event"}`},
		{`{"type":"session.update","model":"no"}`, "{\"type\":\"error\",\"error\":\"The model `no` does not exist.\",\"code\":\"model_not_found\"}"},
		{`{"type":"input_audio_buffer.append","audio":"!"}`, `{"type":"error","error":"Invalid audio data","code":"invalid_audio"}`},
		{`{"type":"input_audio_buffer.append","audio":""}`, `{"type":"error","error":"Invalid audio data","code":"invalid_audio"}`},
	} {
		say(t, ws, c.event)
		if got := hear(t, ws); got != c.want {
			t.Errorf("%s: %s, want %s", c.event, got, c.want)
		}
	}
	say(t, ws, `{"type":"session.update","model":"tiny"}`)
	say(t, ws, sound(100))
	say(t, ws, `{"type":"input_audio_buffer.commit"}`)
	text := ""
	for i := range 4 {
		if i == 2 {
			say(t, ws, sound(3000))
		}
		event := hear(t, ws)
		delta, ok := strings.CutPrefix(event, `{"type":"transcription.delta","delta":"`)
		if !ok {
			t.Fatalf("event %s", event)
		}
		text += strings.TrimSuffix(delta, `"}`)
	}
	say(t, ws, `{"type":"input_audio_buffer.commit","final":true}`)
	want := `{"type":"transcription.done","text":"` + text + `","usage":{"prompt_tokens":1,"total_tokens":5,"completion_tokens":4,` +
		`"prompt_tokens_details":null,"completion_tokens_details":null}}`
	if got := hear(t, ws); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	await(t, s, idle)
	if seen := s.Requests()[0]; seen.Status != 101 || seen.Aborted || seen.Model != "tiny" || !seen.Done {
		t.Errorf("%+v", seen)
	}
}

func TestRealtimeRefusals(t *testing.T) {
	s := start(t, Config{APIKey: "k"})
	if _, res, err := try(t, s); err == nil || res.StatusCode != 401 {
		t.Errorf("without a key: %v, %v", res, err)
	}
	key := "Authorization: Bearer k"
	talk(t, s, key)
	c := client(t)
	if r := ask(t, c, s.URL(), "GET", "/v1/realtime", "", key); r.status != 404 || r.body != `{"detail":"Not Found"}` {
		t.Errorf("no WebSocket: %+v", r)
	}
	if r := ask(t, c, s.URL(), "GET", "/v1/other", "", key, "Connection: Upgrade", "Upgrade: websocket"); r.status != 403 {
		t.Errorf("another path: %+v", r)
	}
}

// When a client leaves, in whatever way, the work for it ends.
func TestRealtimeClientLeaves(t *testing.T) {
	s := start(t, Config{DecodePerToken: time.Hour, Record: 1})
	ws := talk(t, s)
	say(t, ws, `{"type":"session.update","model":"tiny"}`)
	say(t, ws, sound(1))
	say(t, ws, `{"type":"input_audio_buffer.commit"}`)
	hear(t, ws)
	if s.Load().Running != 1 {
		t.Errorf("%+v", s.Load())
	}
	ws.CloseNow()
	await(t, s, idle)
	if !s.Requests()[0].Aborted {
		t.Error("the request of a client that left is not marked as aborted")
	}
}

func TestRealtimeFaults(t *testing.T) {
	s := start(t, Config{Record: 1})
	for _, fault := range []string{"cut-between", "cut-rst"} {
		ws := talk(t, s, "X-Sim-Fault: "+fault)
		if _, _, err := ws.Read(t.Context()); err == nil || websocket.CloseStatus(err) >= 0 {
			t.Errorf("%s: %v", fault, err)
		}
		await(t, s, idle)
	}
	ws := talk(t, s, "X-Sim-Fault: stall")
	say(t, ws, `{`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := ws.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stalled, and sent on: %v", err)
	}
	await(t, s, idle)
	ws = talk(t, s, "X-Sim-Fault: shutdown-text")
	say(t, ws, `{"type":"session.update","model":"tiny"}`)
	say(t, ws, `{"type":"input_audio_buffer.commit"}`)
	if got := hear(t, ws); got != `{"type":"error","error":"cannot schedule new futures after shutdown","code":"processing_error"}` {
		t.Error(got)
	}
	if _, res, err := try(t, s, "X-Sim-Fault: 503"); err == nil || res.StatusCode != 503 {
		t.Errorf("%v, %v", res, err)
	}
}

func TestRealtimeEnds(t *testing.T) {
	s := start(t, Config{RefuseAfter: -1})
	ws := talk(t, s)
	done := make(chan error, 1)
	go func() { done <- s.Drain(t.Context()) }()
	if err := s.Await(t.Context(), func(l Load) bool { return l.Draining }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("at the end: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	ws = talk(t, s)
	s.Kill()
	if _, _, err := ws.Read(t.Context()); err == nil || websocket.CloseStatus(err) >= 0 || errors.Is(err, io.EOF) {
		t.Errorf("killed: %v", err)
	}
}
