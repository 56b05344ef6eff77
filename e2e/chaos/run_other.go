//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
)

// serve says that the command needs Linux.
func serve(string, string, string) int { return 2 }

// run says that the command needs Linux.
func run(_ context.Context, o options, _, errOut io.Writer) int {
	fmt.Fprintf(errOut, "chaos: %v: it needs Linux\n", o)
	return 2
}
