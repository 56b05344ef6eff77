package cli

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the real command as a user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, Setup: freePorts,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "exits": exits},
	})
}

// await is the script command that asks a URL until it answers with the status, 200 by default, and makes the answer
// standard output.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: await URL [STATUS]")
	}
	want := "200"
	if len(args) == 2 {
		want = args[1]
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err != nil {
			continue
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && strconv.Itoa(res.StatusCode) == want {
			_, _ = ts.Stdout().Write(text)
			return
		}
	}
	ts.Fatalf("%s never answered %s", args[0], want)
}

// freePorts gives a script free ports in $PORT_0 to $PORT_3.
func freePorts(env *testscript.Env) error {
	for i := range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close() // at the end, so that the ports differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		env.Setenv("PORT_"+strconv.Itoa(i), port)
	}
	return nil
}

// exits is the script command that runs a program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
