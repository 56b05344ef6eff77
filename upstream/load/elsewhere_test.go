package load

import (
	"testing"
	"time"
)

// What other processes tell counts for a second, and each time replaces what they told before.
func TestElsewhere(t *testing.T) {
	var e Elsewhere
	now := time.Now()
	if got := e.Others(now); got != (Share{}) {
		t.Errorf("before anything is told: %+v", got)
	}
	e.SetElsewhere(Share{}, now)
	e.SetElsewhere(Share{Tokens: 500, Requests: 3}, now)
	e.SetElsewhere(Share{Tokens: 70, Requests: 1}, now)
	if got := e.Others(now.Add(ElsewhereFor)); got != (Share{Tokens: 70, Requests: 1}) {
		t.Errorf("within its time: %+v", got)
	}
	if got := e.Others(now.Add(ElsewhereFor + 1)); got != (Share{}) {
		t.Errorf("after its time: %+v", got)
	}
	e.SetElsewhere(Share{}, now)
	if got := e.Others(now); got != (Share{}) {
		t.Errorf("once the others have none: %+v", got)
	}
}
