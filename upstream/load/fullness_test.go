package load

import (
	"testing"
	"time"
)

// A server counts as full for longer than the second after which refused clients try again.
func TestFull(t *testing.T) {
	var f Fullness
	now := time.Now()
	if f.Full(now) {
		t.Error("full without a refusal")
	}
	f.SaidFull(now)
	for after, want := range map[time.Duration]bool{-time.Second: true, 0: true, fullFor - 1: true, fullFor: false, time.Hour: false} {
		if got := f.Full(now.Add(after)); got != want {
			t.Errorf("%v after the refusal: %v", after, got)
		}
	}
}
