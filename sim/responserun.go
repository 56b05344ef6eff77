package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// responseRun produces one response and its events.
type responseRun struct {
	c        *call
	response response
	messages []message                            // of the prompt
	keep     bool                                 // the response is stored
	emit     func(name string, data []byte) error // nil when no event is wanted
	stored   *storedResponse                      // of a background response; nil when the client waits for the response

	item     string // id of the output item
	sequence int
	text     strings.Builder
}

func (c *call) newRun(q responsesRequest, messages []message) *responseRun {
	return &responseRun{
		c: c, messages: messages, item: "msg_" + newID(), keep: q.wantsStore() && !c.srv.cfg.NoStore,
		response: response{
			id: "resp_" + newID(), created: c.created, model: c.model, max: c.job.Max, q: q,
			status: "in_progress", incomplete: "null", usage: "null",
		},
	}
}

// fields are the fields of an event. JSON sorts them by their names, as vLLM does.
type fields map[string]any

// produce emits the events from created to completed. The first two are emitted at once, before the request leaves the queue.
// The response is stored before the last event, so that a client that has read that event finds the response.
func (r *responseRun) produce(ctx context.Context) (response, error) {
	for _, name := range []string{"response.created", "response.in_progress"} {
		if err := r.event(name, fields{"response": r.response}); err != nil {
			return response{}, err
		}
	}
	t, err := r.c.engine.Run(ctx, r.c.job, r.token)
	if err != nil {
		return response{}, err
	}
	done := r.response.finished(r.c.reason, r.outputItem("completed", r.textPart("null")), t)
	if err := r.outputDone(); err != nil {
		return response{}, err
	}
	r.save(done)
	return done, r.event("response.completed", fields{"response": done})
}

// token emits one token. The first one is preceded by the events that announce the text.
func (r *responseRun) token(s engine.Step) error {
	if r.text.Len() == 0 {
		if err := r.outputAdded(); err != nil {
			return err
		}
	}
	text := s.Token.Text()
	r.text.WriteString(text)
	return r.contentEvent("response.output_text.delta", fields{"delta": text, "logprobs": []int{}})
}

func (r *responseRun) outputAdded() error {
	err := r.event("response.output_item.added", fields{"item": r.outputItem("in_progress", nil), "output_index": 0})
	if err != nil {
		return err
	}
	return r.contentEvent("response.content_part.added", fields{"part": r.textPart("[]")})
}

func (r *responseRun) outputDone() error {
	err := r.contentEvent("response.output_text.done", fields{"logprobs": []int{}, "text": r.text.String()})
	if err != nil {
		return err
	}
	part := r.textPart("null")
	if err := r.contentEvent("response.content_part.done", fields{"part": part}); err != nil {
		return err
	}
	return r.event("response.output_item.done", fields{"item": r.outputItem("completed", part), "output_index": 0})
}

// textPart is the text so far, as a part of the output item.
func (r *responseRun) textPart(logprobs string) json.RawMessage {
	return fmt.Appendf(nil, `{"annotations":[],"text":%s,"type":"output_text","logprobs":%s}`, quote(r.text.String()), logprobs)
}

func (r *responseRun) outputItem(status string, part json.RawMessage) json.RawMessage {
	return fmt.Appendf(nil, `{"id":"%s","content":[%s],"role":"assistant","status":"%s","type":"message","phase":null}`,
		r.item, part, status)
}

// contentEvent emits an event about the only part of the only output item.
func (r *responseRun) contentEvent(name string, f fields) error {
	f["content_index"], f["item_id"], f["output_index"] = 0, r.item, 0
	return r.event(name, f)
}

// event numbers and emits an event.
func (r *responseRun) event(name string, f fields) error {
	if r.emit == nil {
		return nil
	}
	f["sequence_number"], f["type"] = r.sequence, name
	r.sequence++
	return r.emit(name, encode(f))
}

func (r *responseRun) save(done response) {
	if !r.keep {
		return
	}
	conversation := append(r.messages[:len(r.messages):len(r.messages)], newMessage("assistant", r.text.String()))
	if r.stored != nil {
		r.stored.complete(done, conversation)
		return
	}
	r.c.srv.memory.Load().store.add(&storedResponse{response: done, messages: conversation})
}
