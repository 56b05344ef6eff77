package main

import (
	"io"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// await is the script command that asks a URL until it answers 200, and leaves the answer as standard output.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await URL")
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err != nil {
			continue
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode == 200 {
			_, _ = ts.Stdout().Write(text)
			return
		}
	}
	ts.Fatalf("%s never answered 200", args[0])
}
