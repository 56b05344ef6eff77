package discovery

import (
	"testing"

	"tether/upstream"
)

// Static sets the slot and leaves all else as the source has it.
func TestStatic(t *testing.T) {
	got := Static([]Server{
		{Label: "vllm-1", Spec: upstream.Spec{Name: "one", Weight: 50}},
		{Label: "vllm-0", Spec: upstream.Spec{Name: "zero", Drain: true}},
	})
	if len(got) != 2 || got[0].Name != "one" || got[0].Weight != 50 || got[0].Slot != 1 || got[1].Name != "zero" || !got[1].Drain || got[1].Slot != 0 {
		t.Errorf("%+v", got)
	}
}
