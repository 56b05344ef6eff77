package sim

import (
	"fmt"

	"tether/sim/engine"
)

// stream runs a call whose stream ends with [DONE]: onStep for each token, then the usage chunk if it was asked for.
func (c *call) stream(onStep func(engine.Step) error, usage func(engine.Tally) []byte) {
	c.whole(func() error {
		t, err := c.engine.Run(c.a.r.Context(), c.job, onStep)
		if err != nil {
			return err
		}
		return c.finale(t, usage)
	})
}

// finale is the usage chunk, if it was asked for, and [DONE].
func (c *call) finale(t engine.Tally, usage func(engine.Tally) []byte) error {
	if c.usage {
		if err := c.a.event("", usage(t)); err != nil {
			return err
		}
	}
	return c.a.event("", []byte("[DONE]"))
}

// whole sends an event stream from its head to its end. vLLM sends the head before the request leaves the queue.
func (c *call) whole(events func() error) {
	err := c.a.open()
	if err == nil {
		err = events()
	}
	if err != nil {
		c.a.abandon(err)
		return
	}
	c.a.close()
}

// messagesStumble is what becomes of an error within a stream of messages: vLLM 0.32.0 trips over its own words.
const messagesStumble = `{"type":"error","error":{"type":"internal_error","message":"2 validation errors for ChatCompletionStreamResponse\n` +
	`model\n  Field required [type=missing, input_value={'error': {'message': 'da...am': None, 'code': 400}}, input_type=dict]\n` +
	`    For further information visit https://errors.pydantic.dev/2.14/v/missing\n` +
	`choices\n  Field required [type=missing, input_value={'error': {'message': 'da...am': None, 'code': 400}}, input_type=dict]\n` +
	`    For further information visit https://errors.pydantic.dev/2.14/v/missing"}}`

// failStream answers with an error that vLLM finds when the stream's head is out: in an event.
func (c *call) failStream(p problem) {
	c.whole(func() error {
		if c.a.anthropic() {
			return c.a.event("error", []byte(messagesStumble))
		}
		event := fmt.Appendf(nil, `{"error": {"message": %s, "type": %s, "param": null, "code": %d}}`, quote(p.message), quote(p.kind), p.status)
		if err := c.a.event("", event); err != nil {
			return err
		}
		return c.a.event("", []byte("[DONE]"))
	})
}
