package cli

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// patience limits every wait of these tests. No wait should need it.
const patience = 30 * time.Second

// TestMain also makes this test binary the command tether, for scripts and for tests that need a process.
func TestMain(m *testing.M) {
	testscript.Main(leakTested{m}, map[string]func(){"tether": func() { os.Exit(Main("test", os.Args[1:], os.Stdout, os.Stderr)) }})
}

// leakTested runs the tests, and then looks for goroutines that outlived them.
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
