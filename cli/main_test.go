package cli

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// patience bounds every wait of these tests; none is expected to take it.
const patience = 30 * time.Second

// TestMain also makes this test binary the command tether, for tests that need a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(leakTested{m}, map[string]func(){"tether": func() { os.Exit(Main("test", os.Args[1:], os.Stdout, os.Stderr)) }})
}

// leakTested runs the tests and then looks for goroutines that outlived them.
type leakTested struct{ m *testing.M }

func (l leakTested) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
	}
	return code
}
