package sim

// stream runs a call whose stream ends with [DONE]: onStep for each token, then the usage chunk if it was asked for.
func (c *call) stream(onStep func(step) error, usage func(tally) []byte) {
	c.whole(func() error {
		t, err := c.engine.run(c.a.r.Context(), c.job, onStep)
		if err != nil {
			return err
		}
		return c.finale(t, usage)
	})
}

// finale is the usage chunk, if it was asked for, and [DONE].
func (c *call) finale(t tally, usage func(tally) []byte) error {
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
