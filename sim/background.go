package sim

import (
	"context"
	"strconv"
)

// startBackground stores the response as queued, lets a goroutine produce it, and answers at once: with its state, or with its events
// as they are produced. The goroutine ends with the generation, with cancelResponse, or with the server. A client that leaves
// does not end it. The call is released with the goroutine.
func (r *responseRun) startBackground(stream bool) error {
	c := r.c
	ctx, cancel := context.WithCancel(c.life.ctx)
	queued := r.response
	queued.status = "queued"
	r.stored = &storedResponse{cancel: cancel, response: queued, logged: stream}
	if stream {
		r.emit = r.stored.log
	}
	c.srv.memory.Load().store.add(r.stored)
	if !c.life.enter() {
		cancel()
		c.release()
		return c.hangUp()
	}
	go r.background(ctx, cancel)
	if stream {
		return followResponse(c.answer, r.stored, "")
	}
	c.ok("%s", encode(queued))
	return nil
}

func (r *responseRun) background(ctx context.Context, cancel context.CancelFunc) {
	defer r.c.life.exit()
	defer r.c.release()
	defer cancel()
	defer r.stored.end()
	_, _ = r.produce(ctx) // an error means that the response was cancelled, which its state says, or that the server is gone
}

// followResponse streams the events of a background response, from the one that follows the number after. A response without events has an
// empty stream that is cut, as in vLLM.
func followResponse(a *answer, r *storedResponse, after string) error {
	return a.stream(func() error {
		if !r.logged {
			return a.hangUp()
		}
		first, err := strconv.Atoi(after)
		if err != nil {
			first = -1
		}
		for i := max(first+1, 0); ; i++ {
			e, ok, err := r.next(a.r.Context(), i)
			if err != nil || !ok {
				return err
			}
			if err := a.event(e.name, e.data); err != nil {
				return err
			}
		}
	})
}
