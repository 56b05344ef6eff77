package endurance

import (
	"os"
	"regexp"
	"testing"
)

const engineVariable = "TETHER_PROXY_ENGINE"

// eachEngine runs a test over each engine that the kernel allows, or over the one that the environment names. Without -full, it runs the
// test over the engine that tether chooses.
func eachEngine(t *testing.T, test func(*testing.T)) {
	if !*full || os.Getenv(engineVariable) != "" {
		test(t)
		return
	}
	for _, engine := range []string{"uring", "epoll", "go"} {
		t.Run(engine, func(t *testing.T) {
			t.Setenv(engineVariable, engine)
			test(t)
		})
	}
}

var chosenEngine = regexp.MustCompile(`"engine":"(\w+)"`)

// wantEngine skips the test unless tether runs the engine that the environment names.
func (s *side) wantEngine() {
	s.t.Helper()
	want, m := os.Getenv(engineVariable), chosenEngine.FindStringSubmatch(s.proxy.Log())
	if m == nil {
		s.t.Fatal("the log names no engine")
	}
	s.t.Logf("the engine is %s", m[1])
	if want != "" && want != m[1] {
		s.t.Skipf("the engine %s does not run here", want)
	}
}
