package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// outage is the death and the return of one server.
type outage struct {
	*cluster
	killed int // the server's number
	at     time.Time
}

// runOutage kills the server with the most conversations after a while, restarts it, and reports which conversations moved.
func (c *cluster) runOutage(ctx context.Context) (*outage, error) {
	allStarted := func() bool { return sum(c.tracker.sessions()) >= c.cfg.Pace.Conversations }
	if err := c.watch(ctx, c.cfg.Pace.Before, allStarted); err != nil {
		return nil, err
	}
	o := &outage{cluster: c}
	if err := o.kill(ctx); err != nil {
		return nil, err
	}
	if err := o.restart(ctx); err != nil {
		return nil, err
	}
	o.report()
	return o, nil
}

func (o *outage) name() string { return o.names[o.killed] }

// state is the state of the killed server, in tether's words.
func (o *outage) state() string { return o.states[o.name()] }

// kill kills the server. It waits until tether knows, and until all conversations have sent a request since, those of the server
// to another one.
func (o *outage) kill(ctx context.Context) error {
	sessions := o.tracker.sessions()
	for i, n := range sessions {
		if n > sessions[o.killed] {
			o.killed = i
		}
	}
	o.at = time.Now()
	o.tracker.kill(o.killed)
	o.servers[o.killed].Kill()
	on := sessions[o.killed]
	o.log("%s is killed. It had %s, the other servers %d.", o.name(), count(on, "conversation"), sum(sessions)-on)
	return o.watch(ctx, o.cfg.Pace.Outage, func() bool {
		orphans, _ := o.tracker.moves()
		// A conversation whose request arrived in the server's last moment has been seen, and has not moved yet.
		return o.state() == "down" && o.tracker.allSeen() && orphans.Moved == orphans.Of
	})
}

// restart starts the server again, and waits until tether knows.
func (o *outage) restart(ctx context.Context) error {
	o.tracker.restart()
	var restartErr error
	// A connection of another process may use the port for a moment.
	err := o.watch(ctx, 0, func() bool { restartErr = o.servers[o.killed].Restart(); return restartErr == nil })
	if err != nil {
		return err
	}
	if restartErr != nil {
		return restartErr
	}
	consequence := "Requests go round robin, as before."
	if o.cfg.Affinity {
		consequence = "It gets new conversations; those that moved stay where their cache is now."
	}
	o.log("%s is back, with an empty cache. %s", o.name(), consequence)
	return o.watch(ctx, o.cfg.Pace.After, func() bool { return o.state() == "up" })
}

func (o *outage) report() {
	orphans, others := o.tracker.moves()
	o.log("Moved: %d of the %s of %s that went on%s, %d of the %d others.", orphans.Moved,
		count(orphans.Of, "conversation"), o.name(), o.destinations(orphans), others.Moved, others.Of)
}

// destinations says where conversations moved: " (6 to vllm-0, 5 to vllm-3)". Round robin has no destinations.
func (o *outage) destinations(m Moved) string {
	var list []string
	for i, n := range m.to {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d to %s", n, o.names[i]))
		}
	}
	if len(list) == 0 || !o.cfg.Affinity {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func sum(numbers []int) (n int) {
	for _, m := range numbers {
		n += m
	}
	return n
}
