package loop

import (
	"context"
	"errors"
)

// Loops do not exist on macOS.
type Loops struct{}

// New fails on macOS.
func New(string, int) (*Loops, error) { return nil, errors.New("no event loops on macOS") }

// Len is 0.
func (*Loops) Len() int { return 0 }

// Run has nothing to do.
func (*Loops) Run(context.Context) error { return nil }

// Close has nothing to do.
func (*Loops) Close() {}
