package sim

import (
	"context"
	"strconv"
)

// respondLater stores a response as queued, lets a goroutine produce it, and answers at once: with its state, or with its
// events as they come. The goroutine ends with the generation, with cancelResponse, or with the server; the client's
// leaving does not end it.
func (c *call) respondLater(run *responseRun, stream bool) {
	ctx, cancel := context.WithCancel(c.a.life.ctx)
	queued := run.response
	queued.Status = "queued"
	run.into = &stored{cancel: cancel, response: queued, logged: stream}
	if stream {
		run.emit = run.into.log
	}
	c.a.srv.memory.Load().store.add(run.into)
	if !c.a.life.enter() {
		cancel()
		c.a.life.release()
		c.a.hangUp()
		return
	}
	go run.background(ctx, cancel)
	if stream {
		c.a.follow(run.into, "")
		return
	}
	c.ok("%s", encode(queued))
}

func (r *responseRun) background(ctx context.Context, cancel context.CancelFunc) {
	defer r.c.a.life.exit()
	defer r.c.a.life.release()
	defer cancel()
	defer r.into.end()
	_, _ = r.produce(ctx) // an error means that it was cancelled: the state says so, or the server is gone
}

// follow streams the events of a background response behind the one with the number after. A response without events
// has an empty stream that is cut, as in vLLM.
func (a *answer) follow(r *stored, after string) {
	if err := a.open(); err != nil {
		a.abandon(err)
		return
	}
	if !r.logged {
		a.hangUp()
		return
	}
	first, err := strconv.Atoi(after)
	if err != nil {
		first = -1
	}
	for i := first + 1; ; i++ {
		e, ok, err := r.next(a.r.Context(), max(i, 0))
		if ok {
			err = a.event(e.name, e.data)
		}
		if err != nil {
			a.abandon(err)
			return
		}
		if !ok {
			break
		}
	}
	a.close()
}
