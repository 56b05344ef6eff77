package wire

import "testing"

func TestHasDescriptor(t *testing.T) {
	if !HasDescriptor() {
		t.Error("no descriptor, although hardly any are open")
	}
	free := exhaust(t)
	has := HasDescriptor()
	free()
	if has {
		t.Error("another one is free with all in use")
	}
	if !HasDescriptor() {
		t.Error("no descriptor, although all but a few were closed")
	}
}
