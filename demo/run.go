package demo

import (
	"context"
	"fmt"
	"time"
)

// Run shows one cluster until ctx ends, which is no error.
func Run(ctx context.Context, cfg Config) error {
	s := newScreen(&cfg)
	s.hold() // the address of the status page stands first
	c, err := newCluster(cfg, s)
	if err != nil {
		s.release()
		return err
	}
	s.release(c.introduction()...)
	runErr := c.runOutages(ctx)
	err = c.close()
	s.keepTable()
	if err == nil && ctx.Err() == nil {
		err = runErr
	}
	if err == nil {
		s.printLines("stopped")
	}
	return err
}

// runOutages kills and restarts one server after the other.
func (c *cluster) runOutages(ctx context.Context) error {
	for {
		if _, err := c.runOutage(ctx); err != nil {
			return err
		}
		c.turns.forget(time.Now().Add(-window))
		if err := c.watch(ctx, c.cfg.Pace.Rest, nil); err != nil {
			return err
		}
	}
}

func (c *cluster) introduction() []string {
	p := &c.cfg.Pace
	routing := "tether keeps each conversation on the server that has it cached."
	if !c.cfg.Affinity {
		routing = "Requests go round robin (--affinity off)."
	}
	lines := []string{"Status page: http://" + c.proxy.Operators + "/", ""}
	lines = append(lines, wrap("", fmt.Sprintf("%s %s After %.0f s a server is killed, %.0f s later it is back, and so on. Ctrl-C ends the demo.",
		c.cfg.subject(), routing, p.Before.Seconds(), p.Outage.Seconds()))...)
	lines = append(lines, wrap("", c.cfg.conditions())...)
	lines = append(lines, "", "Try, in another terminal (X-Sim-Server in the answer names the server):", "")
	lines = append(lines, examples(c.proxy.Clients, c.proxy.Operators)...)
	lines = append(append(lines, ""), legend()...)
	return append(lines, "")
}

func (c *Config) subject() string {
	return fmt.Sprintf("%d conversations that grow turn by turn, over %d simulated vLLM servers. Their clients send no session id.",
		c.Pace.Conversations, c.Upstreams)
}

// conditions says what the figures depend on.
func (c *Config) conditions() string {
	p := &c.Pace
	return fmt.Sprintf("A server takes %v for each prompt token that it has not cached. Its cache holds %d,000 tokens, 1.5 times its "+
		"share of all conversations. To keep the demo short, servers are probed every %v and not every 5s.",
		p.Prefill, p.cacheTokens(c.Upstreams)/1000, p.Interval)
}

// examples are requests to try by hand.
func examples(clients, operators string) []string {
	chat := clients + `/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"` + model + `",`
	const messages = `"messages":[{"role":"user","content":"Hello! Tell me about yourself, and what you can do."}]}'`
	return []string{
		`curl -i ` + chat + messages,
		`curl -N -H 'X-Session-Id: alice' ` + chat + `"stream":true,` + messages,
		`curl ` + operators + `/api/upstreams`,
	}
}
