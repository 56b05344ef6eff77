package traffic

import (
	"bytes"
	"encoding/json"
	"testing"
)

// An event is as large as vLLM's, and its data is JSON with the time.
func TestEvent(t *testing.T) {
	e := stamped(234567890123456789)
	if len(e) != EventSize {
		t.Errorf("an event has %d bytes, want %d", len(e), EventSize)
	}
	data, is := bytes.CutPrefix(bytes.TrimSuffix(e, []byte("\n\n")), []byte("data: "))
	var object struct{ ID string }
	if err := json.Unmarshal(data, &object); !is || err != nil {
		t.Fatalf("%q: %v", e, err)
	}
	if object.ID != "chatcmpl-234567890123456789" {
		t.Errorf("the id is %s", object.ID)
	}
}
