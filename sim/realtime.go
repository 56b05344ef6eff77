package sim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"tether/sim/engine"
	"tether/sim/fault"
)

// dialog is one WebSocket of /v1/realtime: sound comes in, and what is said in it goes out.
type dialog struct {
	a      *answer
	ws     *websocket.Conn
	ctx    context.Context // ends with the client
	events chan []byte     // from the client; closed when it has ended
	ended  error           // why; to be read when events is closed

	model string           // named by session.update; empty before
	sound [][]engine.Token // not transcribed yet
	open  *speech          // what is transcribed; nil between commits
}

// speech is one utterance.
type speech struct {
	prompt []engine.Token
	text   strings.Builder
	first  int // tokens of the first prompt, which is what vLLM counts
	words  int
}

const (
	// maxMessage is uvicorn's bound on a message.
	maxMessage = 16 << 20

	// maxEvents is how many events a client may be ahead; then nothing more is read. vLLM has no such bound.
	maxEvents = 1024
)

// wantsWebSocket says whether the request is one for FastAPI's WebSocket routes, which have paths of their own.
func wantsWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// webSocket answers a request for one. An unknown path is refused before it is accepted, as uvicorn has it.
func (a *answer) webSocket(path string) {
	if path == "/v1/realtime" {
		a.realtime()
		return
	}
	a.w.Header().Set("Connection", "close")
	a.send(http.StatusForbidden, "text/plain; charset=utf-8", nil)
}

// realtime holds a dialog until a side ends it.
func (a *answer) realtime() {
	a.head("")
	a.over, a.status = true, http.StatusSwitchingProtocols
	ws, err := websocket.Accept(a.w, a.r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // any origin, as vLLM
		CompressionMode:    websocket.CompressionContextTakeover,
	})
	if err != nil { // which is answered
		a.status = http.StatusBadRequest
		return
	}
	ws.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(a.r.Context())
	a.r = a.r.WithContext(ctx)
	d := &dialog{a: a, ws: ws, ctx: ctx, events: make(chan []byte, maxEvents)}
	go d.receive(cancel)
	d.hold()
	_ = ws.CloseNow() // it may be closed already
	for range d.events {
	}
	if d.open != nil {
		a.life.release()
	}
	a.aborted = websocket.CloseStatus(d.ended) < 0
}

// receive reads events until the client ends, which ends what is done for it.
func (d *dialog) receive(left context.CancelFunc) {
	defer close(d.events)
	defer left()
	for {
		_, event, err := d.ws.Read(d.ctx)
		if d.ended = err; err != nil {
			return
		}
		select {
		case d.events <- event:
		case <-d.ctx.Done():
		}
	}
}

// hold answers the client's events, one by one.
func (d *dialog) hold() {
	if d.send(`{"type":"session.created","id":"sess-%s","created":%d}`, newID(), time.Now().Unix()) != nil {
		return
	}
	for {
		select {
		case event, more := <-d.events:
			if !more || d.take(event) != nil {
				return
			}
		case <-d.a.life.leave:
			_ = d.ws.Close(websocket.StatusServiceRestart, "") // a client that does not answer is cut
			return
		}
	}
}

// clientEvent is what the simulator looks at of an event.
type clientEvent struct {
	Type  string  `json:"type"`
	Model *string `json:"model"`
	Audio string  `json:"audio"`
	Final bool    `json:"final"`
}

// take does what an event asks for. An error means that nothing can be sent any more.
func (d *dialog) take(text []byte) error {
	var e clientEvent
	if json.Unmarshal(text, &e) != nil {
		return d.fail("Invalid JSON", "invalid_json")
	}
	switch e.Type {
	case "session.update":
		return d.update(e.Model)
	case "input_audio_buffer.append":
		sound, err := base64.StdEncoding.DecodeString(e.Audio)
		if err != nil || len(sound) == 0 {
			return d.fail("Invalid audio data", "invalid_audio")
		}
		d.sound = append(d.sound, upload{file: sound}.tokens())
	case "input_audio_buffer.commit":
		switch {
		case d.model == "":
			return d.fail("Model not validated. Make sure to validate the model by sending a session.update event.", "model_not_validated")
		case e.Final:
			return d.finish()
		case d.open == nil && !d.a.admitted():
			return d.fail(shutdownMessage, "processing_error")
		case d.open == nil:
			d.open = &speech{}
		}
	default:
		return d.fail("Unknown event type: "+e.Type, "unknown_event")
	}
	return d.transcribe()
}

func (d *dialog) update(model *string) error {
	switch {
	case model == nil:
		return d.fail("Missing required field: model", "invalid_event")
	case !slices.Contains(d.a.srv.cfg.Models, *model):
		return d.fail("The model `"+*model+"` does not exist.", "model_not_found")
	}
	d.model, d.a.model = *model, *model
	return nil
}

// transcribe sends what is said in the sound that came, if it is asked for by now. Each piece is read behind all before it.
func (d *dialog) transcribe() error {
	for d.open != nil && len(d.sound) > 0 {
		s := d.open
		s.prompt = append(s.prompt, d.sound[0]...)
		d.sound = d.sound[1:]
		j := engine.Job{Prompts: [][]engine.Token{s.prompt}, Choices: 1, Max: d.a.srv.cfg.AnswerTokens, Salt: engine.HashString(0, d.model)}
		t, err := d.a.srv.memory.Load().ranks.LeastLoaded().Run(d.ctx, j, func(step engine.Step) error {
			s.text.WriteString(step.Token.Text())
			return d.send(`{"type":"transcription.delta","delta":%s}`, quote(step.Token.Text()))
		})
		if err != nil {
			return err
		}
		if s.first == 0 {
			s.first = t.Prompt
		}
		s.words += t.Completion
	}
	return nil
}

// finish ends the utterance.
func (d *dialog) finish() error {
	s := d.open
	if s == nil {
		return nil
	}
	d.open = nil
	d.a.life.release()
	return d.send(`{"type":"transcription.done","text":%s,"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,`+
		`"prompt_tokens_details":null,"completion_tokens_details":null}}`, quote(s.text.String()), s.first, s.first+s.words, s.words)
}

func (d *dialog) fail(message, code string) error {
	return d.send(`{"type":"error","error":%s,"code":%s}`, quote(message), quote(code))
}

// send sends one event, and applies the fault that is due behind it.
func (d *dialog) send(format string, args ...any) error {
	if err := d.ws.Write(d.ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		return err
	}
	d.a.events++
	f, ok := d.a.fault(fault.CutBetween, fault.CutRST, fault.Stall)
	switch {
	case !ok || f.N != d.a.events:
		return nil
	case f.Kind == fault.Stall:
		return d.a.hold(f)
	case f.Kind == fault.CutRST:
		connOf(d.a.r).reset()
	default:
		_ = connOf(d.a.r).Close()
	}
	return errOver
}
