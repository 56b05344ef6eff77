package kube

import (
	"testing"

	"tether/discovery"
)

func TestAnnotations(t *testing.T) {
	for _, c := range []struct {
		annotations   map[string]string
		want, problem string
	}{
		{nil, "p=a", ""},
		{map[string]string{"weight": "1", "tether/other": "x"}, "p=a", ""},
		{map[string]string{weightAnnotation: "0", slotAnnotation: "4095", drainAnnotation: "true"}, "p=a! weight 0 slot 4095", ""},
		{map[string]string{weightAnnotation: "100", slotAnnotation: "0", drainAnnotation: "false", modelsAnnotation: " a,,b "}, "p=a weight 100 slot 0 models [a b]", ""},
		{
			map[string]string{weightAnnotation: "101", slotAnnotation: "-1", drainAnnotation: "yes"},
			"p=a",
			`pod p: annotation tether/drain: "yes", want true or false; pod p: annotation tether/slot: "-1", want 0..4095; pod p: annotation tether/weight: "101", want 0..100`,
		},
		{map[string]string{weightAnnotation: "", slotAnnotation: "0"}, "p=a slot 0", `pod p: annotation tether/weight: "", want 0..100`},
	} {
		e, f := endpoints{}, discovery.Found{Name: "p", Address: "a"}
		e.annotate(&f, c.annotations)
		problem := ""
		if err := e.problem(); err != nil {
			problem = err.Error()
		}
		if got := words([]discovery.Found{f}); got != c.want || problem != c.problem {
			t.Errorf("%v\ngot  %s; %s\nwant %s; %s", c.annotations, got, problem, c.want, c.problem)
		}
	}
}

// A thousand wrong annotations are one line of three and a number.
func TestProblemsAreBounded(t *testing.T) {
	e := endpoints{}
	for i := range 1000 {
		e.wrong("problem %03d", i%500)
	}
	if got := e.problem().Error(); got != "problem 000; problem 001; problem 002; and 497 more" {
		t.Error(got)
	}
}
