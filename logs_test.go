package main

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// logbook is a log that tests wait for instead of polling: all that happens in a tether is logged after it happened.
type logbook struct {
	*observer.ObservedLogs
	log     *zap.Logger
	written chan struct{}
}

func newLogbook() *logbook {
	core, logs := observer.New(zapcore.DebugLevel)
	b := &logbook{ObservedLogs: logs, written: make(chan struct{}, 1)}
	b.log = zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		select {
		case b.written <- struct{}{}:
		default: // the one who waits has not looked yet
		}
		return nil
	}))
	return b
}

// await waits until a condition holds, which it looks at whenever something was logged. One test waits at a time.
func (b *logbook) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-b.written:
		case <-deadline:
			t.Fatalf("%s did not come; logged: %v", what, b.All())
		}
	}
}

// awaitLine waits for a message.
func (b *logbook) awaitLine(t testing.TB, message string) {
	t.Helper()
	b.await(t, message, func() bool { return b.FilterMessage(message).Len() > 0 })
}
