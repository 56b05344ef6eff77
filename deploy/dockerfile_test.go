package deploy

import (
	"os"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// healthTime is the longest time that tether health takes.
const healthTime = 3 * time.Second

// BuildKit can read the Dockerfile, and its linter finds nothing.
func TestDockerfile(t *testing.T) {
	f, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tree.Warnings {
		t.Error(w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, text string, at []parser.Range) { t.Errorf("%v: %s: %s", at, rule, text) }})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	image := stages[len(stages)-1]
	for _, c := range image.Commands {
		if h, is := c.(*instructions.HealthCheckCommand); is && h.Health.Timeout < healthTime {
			t.Errorf("the health check has a timeout of %v, but may take %v", h.Health.Timeout, healthTime)
		}
	}
}
