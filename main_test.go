package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain also makes this test binary the command tether, for the scripts in testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(leakTested{m}, map[string]func(){"tether": main})
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

// TestScripts runs the real command as a user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, Setup: freePorts,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "exits": exits},
	})
}
