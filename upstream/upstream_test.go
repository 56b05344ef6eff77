package upstream

import (
	"testing"
)

func TestInFlight(t *testing.T) {
	u, _ := newUpstream(t)
	u.Begin()
	u.Begin()
	u.End()
	if got := u.InFlight(); got != 1 {
		t.Errorf("%d in flight", got)
	}
	u.End()
	defer func() {
		if recover() == nil {
			t.Error("more ended than begun")
		}
	}()
	u.End()
}
