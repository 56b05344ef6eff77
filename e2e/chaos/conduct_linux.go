package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tether/e2e/chaos/fleet"
	"tether/e2e/chaos/ledger"
	"tether/e2e/chaos/plan"
	"tether/sim/fault"
)

// conductor brings the steps of a plan about, and notes when each began and ended.
type conductor struct {
	book    *ledger.Book
	servers []*fleet.Server
	tether  *fleet.Tether

	all    sync.WaitGroup
	renew  sync.Mutex // held while tether's process is replaced, and by those that need it to stay
	mu     sync.Mutex
	absent map[string]bool // guarded by mu: servers that are not in the list
}

// conduct runs the plan to its end, or until ctx ends; faults that have begun end in their time.
func (c *conductor) conduct(ctx context.Context, steps []plan.Step) {
	begun := time.Now()
	for _, s := range steps {
		select {
		case <-time.After(time.Until(begun.Add(s.At))):
		case <-ctx.Done():
			c.all.Wait()
			return
		}
		c.all.Go(func() { c.strike(s) })
	}
	c.all.Wait()
}

func (c *conductor) strike(s plan.Step) {
	e := ledger.Event{Kind: string(s.Kind), From: time.Now()}
	var err error
	if s.Server < 0 {
		err = c.strikeTether(s)
	} else {
		server := c.servers[s.Server]
		e.Server = server.Name
		err = c.strikeServer(s, server)
	}
	e.To = time.Now()
	c.book.Event(e)
	if err != nil {
		c.book.Broken(fmt.Sprintf("%s of %s: %v", s.Kind, e.Server, err))
	}
}

func (c *conductor) strikeServer(s plan.Step, server *fleet.Server) error {
	switch s.Kind {
	case plan.Kill:
		server.Kill()
		time.Sleep(s.For)
		return server.Start()
	case plan.Terminate:
		if err := server.Terminate(); err != nil {
			return err
		}
		time.Sleep(s.For)
		return server.Start()
	case plan.Freeze:
		server.Freeze()
		time.Sleep(s.For)
		server.Thaw()
		return nil
	case plan.Flap:
		return flap(s, server)
	case plan.Drain, plan.DrainHard:
		return c.drain(s, server.Name)
	case plan.Remove:
		return c.remove(s, server.Name)
	}
	if err := server.Inject(fault.Fault{Kind: fault.Kind(s.Kind), Arg: s.Arg, Times: s.Times}); err != nil {
		return err
	}
	time.Sleep(s.For)
	return server.Clear()
}

// flap makes health bad and good in turn, fast enough to be seen now and then.
func flap(s plan.Step, server *fleet.Server) error {
	for end := time.Now().Add(s.For); time.Now().Before(end); {
		if err := server.Inject(fault.Fault{Kind: fault.Unhealthy}); err != nil {
			return err
		}
		time.Sleep(700 * time.Millisecond)
		if err := server.Clear(); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
	}
	return nil
}

func (c *conductor) drain(s plan.Step, server string) error {
	if err := c.whileStays(func() error { return c.tether.Drain(server, s.Kind == plan.DrainHard) }); err != nil {
		return err
	}
	time.Sleep(s.For)
	return c.whileStays(func() error { return c.tether.Undrain(server) })
}

// whileStays calls do while tether's process is not being replaced.
func (c *conductor) whileStays(do func() error) error {
	c.renew.Lock()
	defer c.renew.Unlock()
	return do()
}

// remove takes a server from the list and puts it back.
func (c *conductor) remove(s plan.Step, server string) error {
	if err := c.list(server, true); err != nil {
		return err
	}
	time.Sleep(s.For)
	return c.list(server, false)
}

func (c *conductor) list(server string, absent bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.absent[server] = absent
	var without []string
	for name, is := range c.absent {
		if is {
			without = append(without, name)
		}
	}
	return c.tether.List(without...)
}

// followsDescriptors is the time within which tether takes as many connections again as before.
const followsDescriptors = time.Second

func (c *conductor) strikeTether(s plan.Step) error {
	c.renew.Lock()
	defer c.renew.Unlock()
	switch s.Kind {
	case plan.Reload:
		return c.tether.Reload()
	case plan.Restart:
		return c.tether.Restart()
	case plan.Handover:
		return c.tether.HandOver()
	case plan.Descriptors:
		restore, err := c.tether.LimitDescriptors(3)
		if err != nil {
			return err
		}
		time.Sleep(s.For)
		if err := restore(); err != nil {
			return err
		}
		time.Sleep(followsDescriptors)
		return nil
	case plan.Logs:
		c.tether.HoldLogs()
		time.Sleep(s.For)
		c.tether.ReleaseLogs()
		return nil
	}
	return fmt.Errorf("BUG: no way to bring %s about", s.Kind)
}
