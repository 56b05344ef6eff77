package demo

import (
	"context"
	"fmt"
	"time"
)

// Run shows one world until ctx ends, which is no error.
func Run(ctx context.Context, cfg Config) error {
	s := newScreen(&cfg)
	w, err := open(cfg, s)
	if err != nil {
		return err
	}
	s.say(w.introduction()...)
	told := w.goOn(ctx)
	err = w.close()
	s.leave()
	if err == nil && ctx.Err() == nil {
		err = told
	}
	if err == nil {
		s.say("stopped")
	}
	return err
}

// goOn tells a story after the other.
func (w *world) goOn(ctx context.Context) error {
	for {
		if _, err := w.tellStory(ctx); err != nil {
			return err
		}
		w.figures.forget(time.Now().Add(-window))
		if err := w.watch(ctx, w.cfg.Pace.Rest, nil); err != nil {
			return err
		}
	}
}

func (w *world) introduction() []string {
	p := &w.cfg.Pace
	way := "tether keeps each on the server that has it cached"
	if !w.cfg.Affinity {
		way = "requests go round robin (--affinity off)"
	}
	lines := wrap("", fmt.Sprintf("%s; %s. After %.0f s a server is killed, %.0f s later it is back, and so on. Ctrl-C ends it.",
		w.cfg.cast(), way, p.Before.Seconds(), p.Outage.Seconds()))
	lines = append(lines, wrap("", w.cfg.stage())...)
	lines = append(lines, "", "Try, in another terminal (X-Sim-Server in the answer names the server):", "")
	lines = append(lines, examples(w.proxy.Clients, w.proxy.Operators)...)
	lines = append(append(lines, ""), legend()...)
	return append(lines, "")
}

// cast says who plays.
func (c *Config) cast() string {
	return fmt.Sprintf("%d conversations that grow turn by turn, with no session id from their clients, over %d simulated vLLM servers",
		c.Pace.Conversations, c.Upstreams)
}

// stage says what the figures depend on.
func (c *Config) stage() string {
	p := &c.Pace
	return fmt.Sprintf("A server takes %v for each prompt token that it has not cached, and caches %d,000 tokens, 1.5 times its share "+
		"of all conversations. So that the story fits, servers are probed every %v here, and not every 5s.",
		p.Prefill, p.cached(c.Upstreams)/1000, p.Interval)
}
