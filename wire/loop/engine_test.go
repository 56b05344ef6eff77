package loop

import (
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenEngine(t *testing.T) {
	for _, want := range Engines {
		ls, engine, err := OpenEngine(want, 2)
		switch {
		case want == EngineGo || runtime.GOOS != "linux":
			if ls != nil || engine != EngineGo || (err == nil) != (want == EngineGo) {
				t.Errorf("%s: %v, %s, %v", want, ls, engine, err)
			}
		case ls == nil || (err == nil) != (engine == withLoops[want][0]) || ls.Len() != 2:
			t.Errorf("%s: %v, %s, %v", want, ls, engine, err)
		default:
			ls.Close()
		}
	}
}

// Without descriptors, the engine without loops takes over.
func TestNoDescriptorsForLoops(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no event loops here")
	}
	for want, reasons := range map[string][]string{EngineAuto: {"epoll: "}, EngineEpoll: {"epoll: "}, EngineUring: {"uring: ", "; epoll: "}} {
		noDescriptorsForLoops(t, want, reasons)
	}
}

func noDescriptorsForLoops(t *testing.T, want string, reasons []string) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	free, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	few := limit
	few.Cur = uint64(free) + 3 // enough for one loop, not for two
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	ls, engine, why := OpenEngine(want, 2)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if ls != nil || engine != EngineGo || why == nil {
		t.Fatalf("%s: %v, %s, %v", want, ls, engine, why)
	}
	for _, reason := range reasons {
		if !strings.Contains(why.Error(), reason) {
			t.Errorf("%s: %v", want, why)
		}
	}
	again, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(again)
	if again != free {
		t.Errorf("%s: the next descriptor is %d, and was %d: one is left", want, again, free)
	}
}

func TestDefaultLoops(t *testing.T) {
	for procs, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 16: 8} {
		before := runtime.GOMAXPROCS(procs)
		if got := defaultLoops(); got != want {
			t.Errorf("%d loops for %d processors, want %d", got, procs, want)
		}
		runtime.GOMAXPROCS(before)
	}
}
