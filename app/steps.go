package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// steps are the steps that end a running process, in the order in which the things that they end were started.
type steps struct {
	list []step
	// failed is closed when a part ends with an error.
	failed chan struct{}
	once   sync.Once // closes failed
}

// step ends one thing. end may take until ctx ends, and no longer.
type step struct {
	name string
	end  func(ctx context.Context) error
}

func newSteps() *steps { return &steps{failed: make(chan struct{})} }

// atEnd adds a step that comes before all steps added earlier.
func (s *steps) atEnd(name string, end func(ctx context.Context) error) {
	s.list = append(s.list, step{name, end})
}

// partStopTimeout is how long a part may take to end once its context ended.
const partStopTimeout = 5 * time.Second

// start runs a part in a goroutine of its own, and adds the step that ends it.
func (s *steps) start(name string, part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go s.attend(ctx, part, ended)
	s.atEnd(name, func(context.Context) error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(partStopTimeout):
			return fmt.Errorf("did not end within %v", partStopTimeout)
		}
	})
}

// attend runs a part until it ends.
func (s *steps) attend(ctx context.Context, part func(context.Context) error, ended chan<- error) {
	err := part(ctx)
	if err != nil {
		s.once.Do(func() { close(s.failed) })
	}
	ended <- err
}

// stop takes all steps in reverse order under the deadline of ctx, and returns their errors.
func (s *steps) stop(ctx context.Context) error {
	var errs []error
	for _, step := range slices.Backward(s.list) {
		if err := step.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}
