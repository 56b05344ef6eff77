package talk

import (
	"context"
	"sync/atomic"
	"time"

	"tether/e2e/chaos/ledger"
)

// The manners of clients.
const (
	plain     = "plain"
	leave     = "leave"      // a FIN in both directions, at some moment
	resets    = "reset"      // a reset, at some moment
	halfClose = "half-close" // a FIN in one direction
	deaf      = "deaf"       // does not read a long answer
	pipeline  = "pipeline"   // sends two requests at once
)

// deafFor is how long a client that does not read stays. tether cuts it within 13 s: client_write_timeout is 3 s in these runs, and the cut
// may be 10 s late.
const deafFor = 20 * time.Second

// ask sends a question on the connection and reads the answer, in the given manner. The connection is nil if it cannot be used again.
func (c *Crowd) ask(ctx context.Context, k *conn, q question, manner string, leaveAfter time.Duration) (ledger.Turn, answer, *conn) {
	t := q.turn(manner)
	t.Reused = k.used
	k.used = true
	_ = k.SetDeadline(time.Now().Add(patience)) // an error of the connection shows below
	if _, err := k.Write(q.bytes()); err != nil {
		k.Close()
		t.End, t.Result = time.Now(), ledger.NoAnswer
		return t, answer{}, nil
	}
	if manner == deaf {
		return q.stayDeaf(ctx, k, t), answer{}, nil
	}
	gone := new(atomic.Int64)
	timer := k.leaveLater(manner, leaveAfter, gone)
	a, err := q.read(k.r)
	if timer != nil {
		timer.Stop()
	}
	t.End, t.Result = time.Now(), a.result
	if left := gone.Load(); left != 0 {
		k.Close()
		t.End, t.Result = time.Unix(0, left), ledger.Left
		return t, a, nil
	}
	if overdue(err) {
		t.Result = ledger.Overdue
	}
	c.describe(&t, q, a)
	if err != nil || a.last {
		k.Close()
		return t, a, nil
	}
	return t, a, k
}

// leaveLater makes the client leave after a while, if that is its manner. gone gets the time in Unix nanoseconds.
func (c *conn) leaveLater(manner string, after time.Duration, gone *atomic.Int64) *time.Timer {
	var end func()
	switch manner {
	case leave:
		end = func() { c.Close() }
	case resets:
		end = c.reset
	case halfClose:
		end = func() { _ = c.CloseWrite() }
	default:
		return nil
	}
	return time.AfterFunc(after, func() {
		gone.Store(time.Now().UnixNano())
		end()
	})
}

// stayDeaf reads nothing for long, and then what is left: a long answer must have been cut.
func (q question) stayDeaf(ctx context.Context, k *conn, t ledger.Turn) ledger.Turn {
	defer k.Close()
	stayed := sleep(ctx, deafFor)
	t.End, t.Result = time.Now(), ledger.Left
	if stayed && !q.wasCut(k) {
		t.Wrong = "a client that did not read its answer was not cut"
	}
	return t
}

// wasCut reads what is left of an answer, and reports whether it was cut, or is an error.
func (q question) wasCut(k *conn) bool {
	_ = k.SetDeadline(time.Now().Add(deafFor)) // an error of the connection shows in the answer
	a, err := q.read(k.r)
	return a.result != ledger.Whole && !overdue(err)
}

// turn begins the record of a question.
func (q question) turn(manner string) ledger.Turn {
	return ledger.Turn{
		ID: q.id, API: q.api, Stream: q.stream, Source: q.source(), Chained: q.previous != "", Manner: manner, Start: time.Now(),
	}
}

// describe notes what the answer says.
func (c *Crowd) describe(t *ledger.Turn, q question, a answer) {
	t.Status, t.Message = a.status, a.message
	if a.head == nil {
		return
	}
	t.Affinity, t.Server = a.head.Get("X-Tether-Affinity"), a.head.Get("X-Sim-Server")
	if t.Result == ledger.Whole {
		t.Wrong = q.wrong(a)
	}
	if t.Wrong == "" && !c.Plain {
		t.Wrong = q.wrongHead(a)
	}
}
