package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// steps are what makes up a running process, in the order in which it was started, each with what ends it.
type steps struct {
	list []step
	// failed is closed when a part ended with an error while it was wanted.
	failed chan struct{}
	once   sync.Once // closes failed
}

// step ends one thing. It may take its time until ctx ends, and no longer.
type step struct {
	name string
	end  func(ctx context.Context) error
}

func newSteps() *steps { return &steps{failed: make(chan struct{})} }

// atEnd adds what is to be done at the end, before all that was added earlier.
func (s *steps) atEnd(name string, end func(ctx context.Context) error) {
	s.list = append(s.list, step{name, end})
}

// moment is how long a part may take to end once it is told to: it waits for nobody.
const moment = 5 * time.Second

// start runs a part beside the others until its turn at the end comes.
func (s *steps) start(name string, part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go s.attend(ctx, part, ended)
	s.atEnd(name, func(context.Context) error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(moment):
			return fmt.Errorf("did not end within %v", moment)
		}
	})
}

// attend runs a part to its end.
func (s *steps) attend(ctx context.Context, part func(context.Context) error, ended chan<- error) {
	err := part(ctx)
	if err != nil {
		s.once.Do(func() { close(s.failed) })
	}
	ended <- err
}

// stop takes all steps in reverse order under the one deadline of ctx, and gives what went wrong.
func (s *steps) stop(ctx context.Context) error {
	var errs []error
	for _, step := range slices.Backward(s.list) {
		if err := step.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}
