package wire

import "testing"

func TestDescriptors(t *testing.T) {
	if !HasDescriptor() {
		t.Error("no descriptor, although hardly any are open")
	}
	before := DescriptorLimit()
	free := exhaust(t)
	limit, has := DescriptorLimit(), HasDescriptor()
	free()
	if limit != 64 || has {
		t.Errorf("with 64 descriptors, all in use: a limit of %d, and another one is free: %v", limit, has)
	}
	if DescriptorLimit() != before || !HasDescriptor() {
		t.Errorf("a limit of %d, want %d and a free descriptor", DescriptorLimit(), before)
	}
}
