package app

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// logbook is a log that tests wait for instead of polling: a tether logs each change after it happened.
type logbook struct {
	*observer.ObservedLogs
	log     *zap.Logger
	written chan struct{}
	access  lines
}

// lines is what the access log wrote.
type lines struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

// all returns the lines.
func (l *lines) all(t testing.TB) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range bytes.Lines(l.text) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		all = append(all, line)
	}
	return all
}

func newLogbook() *logbook {
	core, logs := observer.New(zapcore.DebugLevel)
	b := &logbook{ObservedLogs: logs, written: make(chan struct{}, 1)}
	b.log = zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		select {
		case b.written <- struct{}{}:
		default: // await has not looked yet
		}
		return nil
	}))
	return b
}

// env is the environment of a tether that writes to the logbook.
func (b *logbook) env() Env {
	return Env{Version: "test", Memory: 4 << 30, Log: b.log, Access: &b.access}
}

// await waits until a condition holds, and checks it whenever something was logged. One test waits at a time.
func (b *logbook) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-b.written:
		case <-deadline:
			t.Fatalf("no %s; logged: %v", what, b.All())
		}
	}
}

// awaitLine waits for a line with the message.
func (b *logbook) awaitLine(t testing.TB, message string) {
	t.Helper()
	b.await(t, message, func() bool { return b.FilterMessage(message).Len() > 0 })
}
