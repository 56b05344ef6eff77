package loop

import (
	"context"
	"runtime"
	"testing"
)

// While loops run, Go has the processors of the quota, and one for each loop, also after the quota has changed.
func TestQuotaIsFollowed(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.SetDefaultGOMAXPROCS()
	quota := runtime.GOMAXPROCS(0)
	ls, err := New(EngineEpoll, 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ls.Run(ctx) }()
	for running := false; !running; {
		processors.Lock()
		running = processors.loops == 2
		processors.Unlock()
	}
	if n := runtime.GOMAXPROCS(0); n != quota+2 {
		t.Errorf("%d processors with two loops, want %d", n, quota+2)
	}
	runtime.GOMAXPROCS(quota + 7) // as if the quota had shrunk by 5 since
	takeQuota()
	if n := runtime.GOMAXPROCS(0); n != quota+2 {
		t.Errorf("%d processors after the quota has changed, want %d", n, quota+2)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := runtime.GOMAXPROCS(0); n != quota {
		t.Errorf("%d processors after the loops, want %d", n, quota)
	}
	takeQuota()
	if n := runtime.GOMAXPROCS(0); n != quota {
		t.Errorf("%d processors without loops, want %d", n, quota)
	}
}
