package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain also makes this test binary the command tether, for the scripts in testdata/script.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tether": main})
}

// TestScripts runs the real command as a user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, Setup: freePorts,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "exits": exits},
	})
}
