package demo

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// story is the death and the return of one server.
type story struct {
	w    *world
	dead int       // the server's number
	died time.Time // when
}

// tellStory kills the server with the most conversations after a while, brings it back, and says what moved.
func (w *world) tellStory(ctx context.Context) (*story, error) {
	everybody := func() bool { return sum(w.seen.sessions()) >= w.cfg.Pace.Conversations }
	if err := w.watch(ctx, w.cfg.Pace.Before, everybody); err != nil {
		return nil, err
	}
	s := &story{w: w}
	for _, part := range []func(context.Context) error{s.die, s.comeBack, s.conclude} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *story) name() string { return s.w.names[s.dead] }

// state is the server's, in tether's words.
func (s *story) state() string { return s.w.states[s.name()] }

// die kills the server, and watches until tether knows and all conversations have asked again, its own elsewhere.
func (s *story) die(ctx context.Context) error {
	sessions := s.w.seen.sessions()
	for i, n := range sessions {
		if n > sessions[s.dead] {
			s.dead = i
		}
	}
	s.died = time.Now()
	s.w.seen.killed(s.dead)
	s.w.servers[s.dead].Kill()
	on := sessions[s.dead]
	s.w.tell("%s is killed. %s on it, %d on the others.", s.name(), were(on), sum(sessions)-on)
	return s.w.watch(ctx, s.w.cfg.Pace.Outage, func() bool {
		orphans, _ := s.w.seen.moves()
		// A request that came in its last moment went on, and did not move yet.
		return s.state() == "down" && s.w.seen.settled() && orphans.moved == orphans.of
	})
}

// comeBack starts the server again, and watches until tether knows.
func (s *story) comeBack(ctx context.Context) error {
	s.w.seen.returned()
	var failed error
	// A connection of somebody else may have the port for a moment.
	err := s.w.watch(ctx, 0, func() bool { failed = s.w.servers[s.dead].Restart(); return failed == nil })
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	rest := "Requests go round robin, as before."
	if s.w.cfg.Affinity {
		rest = "It gets new conversations; those that moved stay where their cache is now."
	}
	s.w.tell("%s is back, its cache empty. %s", s.name(), rest)
	return s.w.watch(ctx, s.w.cfg.Pace.After, func() bool { return s.state() == "up" })
}

// conclude says what moved.
func (s *story) conclude(context.Context) error {
	orphans, others := s.w.seen.moves()
	s.w.tell("Moved: %d of the %s of %s that went on%s, %d of the %d others.",
		orphans.moved, count(orphans.of, "conversation"), s.name(), s.places(orphans), others.moved, others.of)
	return nil
}

// places says where conversations went: " (6 to vllm-0, 5 to vllm-3)". In the world without affinity that means nothing.
func (s *story) places(m moves) string {
	if !s.w.cfg.Affinity {
		return ""
	}
	var list []string
	for i, n := range m.to {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d to %s", n, s.w.names[i]))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func were(n int) string {
	if n == 1 {
		return "1 conversation was"
	}
	return fmt.Sprintf("%d conversations were", n)
}

func sum(numbers []int) (n int) {
	for _, m := range numbers {
		n += m
	}
	return n
}
