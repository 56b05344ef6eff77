package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"tether/config"
	"tether/sim"
	"tether/sim/fault"
)

// What was started last ends first; each part has ended before the next one is told; every error is given.
func TestStepsEndInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		s := newSteps()
		part := func(name string, err error) {
			s.start(name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				order = append(order, name)
				return err
			})
		}
		part("a", nil)
		part("b", errors.New("broken"))
		s.atEnd("c", func(ctx context.Context) error {
			order = append(order, "c")
			_, bounded := ctx.Deadline()
			if !bounded {
				t.Error("no deadline")
			}
			return errors.New("late")
		})
		part("d", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := s.stop(ctx)
		if want := []string{"d", "c", "b", "a"}; !slices.Equal(order, want) {
			t.Errorf("ended %v, want %v", order, want)
		}
		if err == nil || err.Error() != "c: late\nb: broken" {
			t.Error(err)
		}
	})
}

// A part that hangs does not keep the others from ending.
func TestStepsPassOverAPartThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteps()
		ended := false
		s.start("a", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil })
		free := make(chan struct{})
		defer close(free)
		s.start("b", func(context.Context) error { <-free; return nil })
		if err := s.stop(t.Context()); err == nil || err.Error() != "b: did not end within 5s" || !ended {
			t.Errorf("%v, others ended: %v", err, ended)
		}
	})
}

// unending is the shutdown of a tether that runs until the end of the test.
func unending(t *testing.T) Shutdown {
	return Shutdown{Graceful: t.Context(), Delayed: func() bool { return false }, Immediate: t.Context()}
}

func awaitEnd(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("it does not end")
		return nil
	}
}

// A start that fails half-way ends what it had started, and says why.
func TestStartThatFails(t *testing.T) {
	one := 1
	for want, change := range map[string]func(*config.Config){
		"slot": func(c *config.Config) {
			c.Upstreams = []config.Upstream{{URL: "http://127.0.0.1:1", Slot: &one}, {URL: "http://127.0.0.1:2", Slot: &one}}
		},
		"choose another with --listen":       func(c *config.Config) { c.Listen = "192.0.2.1:0" },
		"choose another with --admin-listen": func(c *config.Config) { c.Admin.Listen = "192.0.2.1:0" },
		`session.secret_file: "/nowhere"`:    func(c *config.Config) { c.Session.Identity.SecretFile = "/nowhere" },
		`admin.token_file: "/nowhere"`:       func(c *config.Config) { c.Admin.TokenFile = "/nowhere" },
	} {
		cfg := config.Default()
		cfg.Listen, cfg.Admin.Listen = freeAddress(t), freeAddress(t)
		ours := []string{cfg.Listen, cfg.Admin.Listen}
		change(cfg)
		done := make(chan error, 1)
		go func() {
			done <- Run(unending(t), cfg, Env{Memory: 4 << 30, Log: zap.NewNop(), Access: io.Discard}, nil)
		}()
		if err := awaitEnd(t, done); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		for _, addr := range ours {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Errorf("%s: its listener is still open: %v", want, err)
				continue
			}
			l.Close()
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// When a part fails, requests in flight still finish before run returns, and nothing is left.
func TestPartThatFails(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	cfg := config.Default()
	cfg.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Upstreams = []config.Upstream{{URL: urls[0]}}
	l := unending(t)
	l.Delayed = func() bool { return true }
	cfg.Proxy.ShutdownDelay = time.Hour
	logs := newLogbook()
	x, err := build(l, cfg, logs.env())
	if err != nil {
		t.Fatal(err)
	}
	at := make(chan Addresses, 1)
	done := make(chan error, 1)
	go func() { done <- x.run(func(a Addresses) { at <- a }) }()
	data := (<-at).Clients
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		res, _, err := post(t, data, hello)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		answered <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	x.adminListener.Close()
	logs.awaitLine(t, "shutting down: requests in flight may finish")
	select {
	case err := <-done:
		t.Fatalf("ended with a request in flight: %v", err)
	default:
	}
	sims[0].ClearFaults()
	if err := <-answered; err != nil {
		t.Errorf("what was in flight failed: %v", err)
	}
	if err := awaitEnd(t, done); err == nil || !strings.Contains(err.Error(), "admin listener: ") {
		t.Error(err)
	}
}
