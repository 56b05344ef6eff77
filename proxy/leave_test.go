package proxy

import (
	"context"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/sim"
)

// moment is a point of a request's life.
type moment struct {
	name string
	sim  sim.Config
	// body and fault make a request that waits at that point; there returns when the point is reached.
	body  string
	fault string
	after string // sent after the request
	there func(*rig, *rawConn)
}

// moments are the points of a request's life at which its client leaves.
var moments = []moment{
	{name: "queued", sim: sim.Config{MaxSeqs: 1, DecodePerToken: time.Hour}, body: chat("x"), there: func(r *rig, _ *rawConn) {
		r.awaitLoad(0, func(l sim.Load) bool { return l.Waiting >= 1 })
	}},
	{name: "before the head", body: chat("x"), fault: "hang", there: held},
	{name: "before the first byte", body: streamed("x"), fault: "stall=0", there: func(r *rig, c *rawConn) {
		held(r, c)
		if _, err := c.r.Peek(12); err != nil { // the head is here
			r.t.Fatal(err)
		}
	}},
	{name: "mid-stream", body: streamed("x"), fault: "stall=2", there: func(r *rig, c *rawConn) {
		held(r, c)
		if _, err := c.r.Peek(500); err != nil {
			r.t.Fatal(err)
		}
	}},
	{name: "pipelined bytes pending", body: chat("x"), fault: "hang", after: post(chatPath, chat("y")), there: held},
}

func held(r *rig, _ *rawConn) { r.awaitLoad(0, func(l sim.Load) bool { return l.Held >= 1 }) }

// leaving are the ways in which a client leaves.
var leaving = map[string]func(*rawConn){
	"close":      func(c *rawConn) { c.Close() },
	"reset":      func(c *rawConn) { c.reset() },
	"half-close": func(c *rawConn) { c.CloseWrite() },
}

func faultyChat(body, fault, after string) string {
	if fault == "" {
		return post(chatPath, body) + after
	}
	return post(chatPath, body, "X-Sim-Fault: "+fault) + after
}

// The client leaves, at five moments, in three ways, and the engine stops working for it.
func TestClientLeaves(t *testing.T) {
	for _, m := range moments {
		for how, leave := range leaving {
			t.Run(m.name+", "+how, func(t *testing.T) { leaves(t, fleet(t, 1, m.sim), m, leave) })
		}
	}
}

// The same when both sides speak TLS, with and without close_notify.
func TestClientLeavesUnderTLS(t *testing.T) {
	ways := maps.Clone(leaving)
	ways["goodbye and close"] = func(c *rawConn) { c.secure.Close() }
	for _, m := range moments {
		for how, leave := range ways {
			t.Run(m.name+", "+how, func(t *testing.T) { leaves(t, secureFleet(t, 1, m.sim), m, leave) })
		}
	}
}

func leaves(t *testing.T, r *rig, m moment, leave func(*rawConn)) {
	t.Helper()
	if m.sim.MaxSeqs == 1 { // another request runs, so that the next one waits
		first := r.dial()
		first.send(post(chatPath, chat("first")))
		r.awaitLoad(0, func(l sim.Load) bool { return l.Running == 1 })
	}
	c := r.dial()
	c.send(faultyChat(m.body, m.fault, m.after))
	m.there(r, c)
	requests := r.sims[0].Load().Requests
	started := time.Now()
	leave(c)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := r.sims[0].Await(ctx, func(l sim.Load) bool { return l.Requests < requests }); err != nil {
		t.Fatalf("after %v the engine still works: %+v", time.Since(started), r.sims[0].Load())
	}
	rec := r.recorded(1)
	if rec.Status != 499 || rec.Reason != "client_left" {
		t.Errorf("recorded as %d, %s", rec.Status, rec.Reason)
	}
	c.Close()
}

// A client that leaves when it has the terminal event of its stream has not left early: many clients close at once, before the last chunk. The
// server sends that, and ends, only once the request is over.
func TestClientLeavesAtTheTerminalEvent(t *testing.T) {
	const (
		message = "event: message_delta\ndata: {\"type\":\"message_delta\"}\n\n"
		part    = "event: response.output_text.delta\ndata: {}\n\n"
	)
	for _, c := range []struct {
		name, path, body, first, last string
		status                        int
	}{
		{"chat", chatPath, streamed("x"), firstEvent, "data: [DONE]\n\n", 200},
		{"chat, before it", chatPath, streamed("x"), firstEvent, "data: {}\n\n", 499},
		{"messages", "/v1/messages", streamed("x"), message, "event: message_stop\ndata: {}\n\n", 200},
		{"messages, before it", "/v1/messages", streamed("x"), message, "event: message_delta\ndata: {}\n\n", 499},
		{"responses", "/v1/responses", `{"model":"tiny","stream":true,"input":"x"}`, part, "event: response.completed\ndata: {}\n\n", 200},
		{"responses, before it", "/v1/responses", `{"model":"tiny","stream":true,"input":"x"}`, part, "event: response.output_text.done\ndata: {}\n\n", 499},
	} {
		for how, leave := range leaving {
			t.Run(c.name+", "+how, func(t *testing.T) {
				engines(t, func(t *testing.T, engine string) {
					s := newScript(t)
					r := newRig(t, []string{s.url()}, func(r *rig) { r.engine = engine })
					client := r.dial()
					client.send(post(c.path, c.body))
					server := s.next()
					server.request()
					server.send(streamHead + chunk(c.first))
					server.send(chunk(c.last))
					client.await(chunk(c.last))
					leave(client)
					want := ""
					if c.status == 499 {
						want = "client_left"
					}
					if rec := r.recorded(1); rec.Status != c.status || rec.Reason != want || rec.ClientLeft() != (c.status == 499) {
						t.Errorf("recorded as %d, %q", rec.Status, rec.Reason)
					}
					server.ended()
				})
			})
		}
	}
}

// await reads until text has arrived.
func (c *rawConn) await(text string) {
	c.t.Helper()
	var got strings.Builder
	for !strings.HasSuffix(got.String(), text) {
		b, err := c.r.ReadByte()
		if err != nil {
			c.t.Fatalf("%v after %q, want %q", err, got.String(), text)
		}
		got.WriteByte(b)
	}
}

// After a thousand exits at all moments nothing is left: no request in flight, no goroutine, no descriptor.
func TestThousandExitsLeaveNothing(t *testing.T) {
	r := fleet(t, 2, sim.Config{MaxSeqs: 4, DecodePerToken: 100 * time.Microsecond, Record: 1})
	descriptors, goroutines := resources(t)
	const exits, workers = 1000, 16
	done := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := range exits / workers {
				m := moments[(w+i)%len(moments)]
				c := r.dial()
				_, err := io.WriteString(c, faultyChat(m.body, m.fault, m.after))
				if err != nil {
					done <- err
					return
				}
				if (w+i)%3 > 0 { // at once, or a little later
					c.SetReadDeadline(time.Now().Add(time.Duration(i%7) * time.Millisecond))
					c.r.Peek(1)
				}
				ways := []string{"close", "half-close", "reset"}
				leaving[ways[i%3]](c)
				c.Close()
			}
			done <- nil
		}()
	}
	r.allGone(workers, done)
	r.nothingLeft(descriptors, goroutines)
}

// allGone waits until each of the workers is done, and until no server has a request.
func (r *rig) allGone(workers int, done <-chan error) {
	r.t.Helper()
	for range workers {
		r.must(<-done)
	}
	for i := range r.sims {
		r.awaitLoad(i, func(l sim.Load) bool { return l.Requests == 0 })
	}
}

// nothingLeft waits until there are no more goroutines, descriptors and requests than before.
func (r *rig) nothingLeft(descriptors, goroutines int) {
	r.t.Helper()
	r.cold()
	deadline := time.Now().Add(patience)
	for {
		d, g := resources(r.t)
		inFlight := r.proxy.InFlight() + r.up(0).InFlight() + r.up(1).InFlight()
		if inFlight == 0 && d <= descriptors && g <= goroutines && r.proxy.Connections() == 0 {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d in flight, %d descriptors (%d before), %d goroutines (%d before), %d connections", inFlight, d, descriptors, g, goroutines, r.proxy.Connections())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func resources(t testing.TB) (descriptors, goroutines int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(list), runtime.NumGoroutine()
}

// A client that leaves right after the last byte costs no upstream connection, and harms no other request.
func TestClientLeavesWithTheLastByte(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	for i := range 300 {
		body := chat("x")
		if i%2 == 0 {
			body = streamed("x")
		}
		a := r.do("POST", chatPath, body, sid) // Connection: close: the client leaves as it reads the end
		if a.StatusCode != 200 || a.err != nil {
			t.Fatalf("request %d: %d, %v", i, a.StatusCode, a.err)
		}
	}
	if rec := r.last(); rec.Replays > 0 || rec.Reason != "" {
		t.Errorf("%+v", rec)
	}
	if n := r.sims[0].Load().Conns; n > 1 {
		t.Errorf("%d connections for requests one after another", n)
	}
}

// BenchmarkClientLeaves is the time from the client's close to the end of the upstream's connection.
func BenchmarkClientLeaves(b *testing.B) {
	for _, m := range moments {
		b.Run(m.name, func(b *testing.B) {
			r := fleet(b, 1, m.sim)
			if m.sim.MaxSeqs == 1 {
				first := r.dial()
				first.send(post(chatPath, chat("first")))
				r.awaitLoad(0, func(l sim.Load) bool { return l.Running == 1 })
			}
			var took []time.Duration
			for b.Loop() {
				c := r.dial()
				c.send(faultyChat(m.body, m.fault, m.after))
				m.there(r, c)
				requests := r.sims[0].Load().Requests
				started := time.Now()
				c.Close()
				r.awaitLoad(0, func(l sim.Load) bool { return l.Requests < requests })
				took = append(took, time.Since(started))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(0, "ns/op")
		})
	}
}
