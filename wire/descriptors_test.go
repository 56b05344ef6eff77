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
		t.Error("a descriptor is free, although all are in use")
	}
	if !HasDescriptor() {
		t.Error("no descriptor, although the others were closed")
	}
}
