package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The part that was started last ends first. Each part has ended before the next one is told to. All errors are returned.
func TestStepsEndInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		s := newSteps()
		part := func(name string, err error) {
			s.start(name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				order = append(order, name)
				return err
			})
		}
		part("a", nil)
		part("b", errors.New("broken"))
		s.atEnd("c", func(ctx context.Context) error {
			order = append(order, "c")
			_, bounded := ctx.Deadline()
			if !bounded {
				t.Error("no deadline")
			}
			return errors.New("late")
		})
		part("d", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := s.stop(ctx)
		if want := []string{"d", "c", "b", "a"}; !slices.Equal(order, want) {
			t.Errorf("ended %v, want %v", order, want)
		}
		if err == nil || err.Error() != "c: late\nb: broken" {
			t.Error(err)
		}
	})
}

// A part that hangs does not keep the others from ending.
func TestStepsPassOverAPartThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteps()
		ended := false
		s.start("a", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil })
		free := make(chan struct{})
		defer close(free)
		s.start("b", func(context.Context) error { <-free; return nil })
		if err := s.stop(t.Context()); err == nil || err.Error() != "b: did not end within 5s" || !ended {
			t.Errorf("%v, others ended: %v", err, ended)
		}
	})
}
