package load

import (
	"testing"
	"time"
)

// What a server said counts for 5 seconds; the size of its cache counts until it says another one.
func TestEngineLoad(t *testing.T) {
	var e Engine
	now := time.Unix(1000, 0)
	if _, known := e.EngineLoad(now); known || e.KVCapacity() != 0 {
		t.Error("known before the first report")
	}
	said := EngineLoad{Running: 3, Waiting: 2, KVUsage: 0.5, KVCapacity: 4096, KVBlock: 32, At: now}
	e.SaidLoad(said)
	for after, want := range map[time.Duration]bool{0: true, 5 * time.Second: true, 5*time.Second + 1: false, time.Hour: false} {
		got, known := e.EngineLoad(now.Add(after))
		if known != want || known && got != said || !known && (got.Running != Unknown || got.Waiting != Unknown || got.KVUsage != Unknown) {
			t.Errorf("after %v: %+v, %v", after, got, known)
		}
	}
	if got := e.KVCapacity(); got != 4096 {
		t.Errorf("capacity %d", got)
	}

	e.SaidLoad(EngineLoad{KVCapacity: Unknown, At: now})
	if got := e.KVCapacity(); got != 4096 || e.KVBlock() != 32 {
		t.Errorf("capacity %d, blocks of %d after a report without them", got, e.KVBlock())
	}
	e.SaidLoad(EngineLoad{KVCapacity: 512, At: now})
	if got := e.KVCapacity(); got != 512 {
		t.Errorf("capacity %d of another process", got)
	}
}
