package traffic

import "testing"

// endless is due again a nanosecond later, so no loop keeps up with it.
type endless struct{ l *loop }

func (e endless) tick(due, _ int64) { e.l.at(due+1, e) }

// A loop that cannot keep up still takes what others post.
func TestLateLoop(t *testing.T) {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	go l.run()
	l.do(func() { l.at(Now(), endless{l}) })
	for range 100 {
		l.do(func() {})
	}
	l.do(func() { l.timers = nil })
	l.stop()
}
