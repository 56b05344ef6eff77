package sim

import (
	"context"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// responseRun produces one response and its events.
type responseRun struct {
	c        *call
	response response
	messages []message // of the prompt
	keep     bool      // store the response
	emit     func(name string, data []byte) error
	into     *stored // the background response that this is, else nil

	item     string // id of the output item
	sequence int
	text     strings.Builder
}

func (c *call) newRun(q responsesRequest, messages []message) *responseRun {
	return &responseRun{
		c: c, response: newResponse(c, q), messages: messages, item: "msg_" + newID(),
		keep: (q.Store == nil || *q.Store) && !c.a.srv.cfg.NoStore,
		emit: func(string, []byte) error { return nil },
	}
}

// produce emits the events from created to completed. The first two come at once, before the request leaves the queue.
// The response is stored before the last event, so that whoever has read it finds it.
func (r *responseRun) produce(ctx context.Context) (response, error) {
	for _, name := range []string{"response.created", "response.in_progress"} {
		if err := r.event(name, fmt.Sprintf(`"response":%s,`, encode(r.response)), ""); err != nil {
			return response{}, err
		}
	}
	t, err := r.c.engine.Run(ctx, r.c.job, r.delta)
	if err != nil {
		return response{}, err
	}
	done := r.response.finished(r.c, r.outputItem("completed", r.textPart(r.text.String(), "null")), t)
	if err := r.outputDone(); err != nil {
		return response{}, err
	}
	r.save(done)
	return done, r.event("response.completed", fmt.Sprintf(`"response":%s,`, encode(done)), "")
}

// delta emits one token, and before the first one what announces the text.
func (r *responseRun) delta(s engine.Step) error {
	if r.text.Len() == 0 {
		if err := r.outputAdded(); err != nil {
			return err
		}
	}
	text := s.Token.Text()
	r.text.WriteString(text)
	return r.event("response.output_text.delta", fmt.Sprintf(
		`"content_index":0,"delta":%s,"item_id":"%s","logprobs":[],"output_index":0,`, quote(text), r.item), "")
}

func (r *responseRun) outputAdded() error {
	err := r.event("response.output_item.added",
		fmt.Sprintf(`"item":%s,"output_index":0,`, r.outputItem("in_progress", "")), "")
	if err != nil {
		return err
	}
	return r.event("response.content_part.added", fmt.Sprintf(
		`"content_index":0,"item_id":"%s","output_index":0,"part":%s,`, r.item, r.textPart("", "[]")), "")
}

func (r *responseRun) outputDone() error {
	text := r.text.String()
	err := r.event("response.output_text.done", fmt.Sprintf(
		`"content_index":0,"item_id":"%s","logprobs":[],"output_index":0,`, r.item), fmt.Sprintf(`"text":%s,`, quote(text)))
	if err != nil {
		return err
	}
	part := r.textPart(text, "null")
	err = r.event("response.content_part.done", fmt.Sprintf(
		`"content_index":0,"item_id":"%s","output_index":0,"part":%s,`, r.item, part), "")
	if err != nil {
		return err
	}
	return r.event("response.output_item.done",
		fmt.Sprintf(`"item":%s,"output_index":0,`, r.outputItem("completed", part)), "")
}

func (r *responseRun) textPart(text, logprobs string) string {
	return fmt.Sprintf(`{"annotations":[],"text":%s,"type":"output_text","logprobs":%s}`, quote(text), logprobs)
}

func (r *responseRun) outputItem(status, part string) []byte {
	return fmt.Appendf(nil, `{"id":"%s","content":[%s],"role":"assistant","status":"%s","type":"message","phase":null}`,
		r.item, part, status)
}

// event numbers an event. Its fields are in the order of their names, so the number may stand between two of them.
func (r *responseRun) event(name, before, after string) error {
	data := fmt.Appendf(nil, `{%s"sequence_number":%d,%s"type":"%s"}`, before, r.sequence, after, name)
	r.sequence++
	return r.emit(name, data)
}

func (r *responseRun) save(done response) {
	if !r.keep {
		return
	}
	conversation := append(r.messages[:len(r.messages):len(r.messages)], said("assistant", r.text.String()))
	if r.into != nil {
		r.into.complete(done, conversation)
		return
	}
	r.c.a.srv.memory.Load().store.add(&stored{response: done, messages: conversation})
}
