package kube

import (
	"strconv"
	"strings"

	"tether/discovery"
	"tether/ring"
)

// The annotations of a pod that count.
const (
	weightAnnotation = "tether/weight" // 0..100
	slotAnnotation   = "tether/slot"   // 0..4095
	modelsAnnotation = "tether/models" // names with commas between
	drainAnnotation  = "tether/drain"  // true or false
)

// annotate adds what the annotations of a pod say. An annotation that cannot be read is a problem, and does not count.
func (e *endpoints) annotate(f *discovery.Found, annotations map[string]string) {
	f.Weight = e.number(f.Name, annotations, weightAnnotation, ring.FullWeight)
	f.Slot = e.number(f.Name, annotations, slotAnnotation, ring.MaxSlots-1)
	for model := range strings.SplitSeq(annotations[modelsAnnotation], ",") {
		if model = strings.TrimSpace(model); model != "" {
			f.Models = append(f.Models, model)
		}
	}
	switch text, set := annotations[drainAnnotation]; {
	case text == "true":
		f.Drain = true
	case set && text != "false":
		e.wrong("pod %s: annotation %s: %.40q, want true or false", f.Name, drainAnnotation, text)
	}
}

// number reads 0..most, or returns nil.
func (e *endpoints) number(pod string, annotations map[string]string, key string, most int) *int {
	text, set := annotations[key]
	if !set {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		e.wrong("pod %s: annotation %s: %.40q, want 0..%d", pod, key, text, most)
		return nil
	}
	return &n
}
