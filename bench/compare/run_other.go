//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
)

func run(_ context.Context, _ options, _, errors io.Writer) (code int) {
	fmt.Fprintln(errors, "this comparison needs Linux")
	return 1
}
