package sim

import "testing"

func TestStoreForgetsTheOldest(t *testing.T) {
	s := newStore()
	for i := range maxStored + 1 {
		s.add(&storedResponse{response: response{id: string(rune('a' + i))}})
	}
	if s.find("a") != nil || s.find("b") == nil || len(s.byID) != maxStored {
		t.Errorf("%d responses", len(s.byID))
	}
}
