package proxy

import (
	"fmt"
	"testing"
	"time"

	"tether/sim"
)

// A request that follows a response nobody knows of goes by its session, and by the response where it names none.
func TestUnknownResponsesGoBySession(t *testing.T) {
	r := fleet(t, 4, sim.Config{})
	const follow = `{"model":"tiny","input":"x","previous_response_id":"resp_1"}`
	by := r.do("POST", "/v1/responses", follow).server()
	for n := range 10 {
		if a := r.do("POST", "/v1/responses", follow); a.server() != by {
			t.Errorf("by the response: %s, then %s", by, a.server())
		}
		id := fmt.Sprint("s-", n)
		home := r.chat("x", "X-Session-Id: "+id).server()
		if !r.pins.Delete(r.ids.Key([]byte("tiny"), []byte(id)), time.Now()) {
			t.Fatal("no pin")
		}
		if a := r.do("POST", "/v1/responses", follow, "X-Session-Id: "+id); a.server() != home {
			t.Errorf("by the session: %s, then %s", home, a.server())
		}
	}
}
