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
)

// dialog is one WebSocket of /v1/realtime: the client sends sound, and gets its transcription.
type dialog struct {
	*answer
	ws       *websocket.Conn
	ctx      context.Context // ends with the client
	received chan []byte     // events of the client; closed when the client has ended
	readErr  error           // why the client has ended; to be read once received is closed

	model     string // named by session.update; empty before
	sound     [][]engine.Token
	utterance *utterance // what is being transcribed; nil between commits
}

// utterance is the sound from one commit to the next.
type utterance struct {
	prompt       []engine.Token
	text         strings.Builder
	promptTokens int // of the first prompt, which is the one that vLLM counts
	words        int
}

const (
	// maxMessage is uvicorn's limit of a message, in bytes.
	maxMessage = 16 << 20

	// maxEvents is the number of events that a client may be ahead. Further ones are not read until then. vLLM has no such limit.
	maxEvents = 1024
)

// wantsWebSocket reports whether the request is one for FastAPI's WebSocket routes, which have paths of their own.
func wantsWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// webSocket answers a request for a WebSocket. An unknown path is refused before the WebSocket is accepted, as by uvicorn.
func webSocket(a *answer, path string) {
	if path == "/v1/realtime" {
		realtime(a)
		return
	}
	a.w.Header().Set("Connection", "close")
	a.send(http.StatusForbidden, "text/plain; charset=utf-8", nil)
}

// realtime holds a dialog until a side ends it.
func realtime(a *answer) {
	a.head("")
	a.over, a.status = true, http.StatusSwitchingProtocols
	ws, err := websocket.Accept(a.w, a.r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // any origin, as vLLM
		CompressionMode:    websocket.CompressionContextTakeover,
	})
	if err != nil { // Accept has answered
		a.status = http.StatusBadRequest
		return
	}
	ws.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(a.r.Context())
	a.r = a.r.WithContext(ctx)
	d := &dialog{answer: a, ws: ws, ctx: ctx, received: make(chan []byte, maxEvents)}
	go d.receive(cancel)
	d.talk()
	_ = ws.CloseNow() // fails when the WebSocket is closed already
	for range d.received {
	}
	if d.utterance != nil {
		a.life.release()
	}
	a.aborted = websocket.CloseStatus(d.readErr) < 0
}

// receive reads events until the client ends. That ends all work for the client.
func (d *dialog) receive(cancel context.CancelFunc) {
	defer close(d.received)
	defer cancel()
	for {
		_, event, err := d.ws.Read(d.ctx)
		if d.readErr = err; err != nil {
			return
		}
		select {
		case d.received <- event:
		case <-d.ctx.Done():
		}
	}
}

// talk answers the client's events, one by one.
func (d *dialog) talk() {
	if d.reply(`{"type":"session.created","id":"sess-%s","created":%d}`, newID(), time.Now().Unix()) != nil {
		return
	}
	for {
		select {
		case event, more := <-d.received:
			if !more || d.handle(event) != nil {
				return
			}
		case <-d.life.closed:
			_ = d.ws.Close(websocket.StatusServiceRestart, "") // a client that does not answer is cut
			return
		}
	}
}

// clientEvent is an event of the client, as far as the simulator reads it.
type clientEvent struct {
	Type  string  `json:"type"`
	Model *string `json:"model"`
	Audio string  `json:"audio"`
	Final bool    `json:"final"`
}

// handle does what an event asks for. An error means that the dialog is over.
func (d *dialog) handle(text []byte) error {
	var e clientEvent
	if json.Unmarshal(text, &e) != nil {
		return d.refuse("Invalid JSON", "invalid_json")
	}
	switch e.Type {
	case "session.update":
		return d.update(e.Model)
	case "input_audio_buffer.append":
		sound, err := base64.StdEncoding.DecodeString(e.Audio)
		if err != nil || len(sound) == 0 {
			return d.refuse("Invalid audio data", "invalid_audio")
		}
		d.sound = append(d.sound, soundTokens(sound))
	case "input_audio_buffer.commit":
		switch {
		case d.model == "":
			return d.refuse("Model not validated. Make sure to validate the model by sending a session.update event.", "model_not_validated")
		case e.Final:
			return d.finish()
		case d.utterance == nil && !d.admit():
			return d.refuse(shutdownMessage, "processing_error")
		case d.utterance == nil:
			d.utterance = &utterance{}
		}
	default:
		return d.refuse("Unknown event type: "+e.Type, "unknown_event")
	}
	return d.transcribe()
}

func (d *dialog) update(model *string) error {
	switch {
	case model == nil:
		return d.refuse("Missing required field: model", "invalid_event")
	case !slices.Contains(d.srv.cfg.Models, *model):
		return d.refuse("The model `"+*model+"` does not exist.", "model_not_found")
	}
	d.model, d.answer.model = *model, *model
	return nil
}

// transcribe sends the text of the sound that was received, if a commit has asked for it. The prompt of each piece of sound
// begins with all pieces before it.
func (d *dialog) transcribe() error {
	for d.utterance != nil && len(d.sound) > 0 {
		u := d.utterance
		u.prompt = append(u.prompt, d.sound[0]...)
		d.sound = d.sound[1:]
		job := engine.Job{
			Prompts: [][]engine.Token{u.prompt}, Choices: 1, Max: d.srv.cfg.AnswerTokens, Salt: engine.HashString(0, d.model),
		}
		t, err := d.srv.memory.Load().ranks.LeastLoaded().Run(d.ctx, job, func(s engine.Step) error {
			u.text.WriteString(s.Token.Text())
			return d.reply(`{"type":"transcription.delta","delta":%s}`, quote(s.Token.Text()))
		})
		if err != nil {
			return err
		}
		if u.promptTokens == 0 {
			u.promptTokens = t.Prompt
		}
		u.words += t.Completion
	}
	return nil
}

func (d *dialog) finish() error {
	u := d.utterance
	if u == nil {
		return nil
	}
	d.utterance = nil
	d.life.release()
	return d.reply(`{"type":"transcription.done","text":%s,"usage":%s}`, quote(u.text.String()), plainUsageJSON(u.promptTokens, u.words))
}

func (d *dialog) refuse(message, code string) error {
	return d.reply(`{"type":"error","error":%s,"code":%s}`, quote(message), quote(code))
}

// reply sends one event, and applies the fault that is due after it.
func (d *dialog) reply(format string, args ...any) error {
	if err := d.ws.Write(d.ctx, websocket.MessageText, fmt.Appendf(nil, format, args...)); err != nil {
		return err
	}
	d.events++
	return d.cutAfterEvent()
}
