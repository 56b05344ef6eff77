package top

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tether/status"
)

// press returns the model after keys.
func press(m model, keys ...tea.KeyPressMsg) model {
	for _, k := range keys {
		next, _ := m.Update(k)
		m = next.(model)
	}
	return m
}

var (
	up, down = tea.KeyPressMsg{Code: tea.KeyUp}, tea.KeyPressMsg{Code: tea.KeyDown}
	sorted   = tea.KeyPressMsg{Code: 's', Text: "s"}
	paused   = tea.KeyPressMsg{Code: 'p', Text: "p"}
	quit     = tea.KeyPressMsg{Code: 'q', Text: "q"}
	end      = tea.KeyPressMsg{Code: tea.KeyEnd}
)

// Keys scroll within the upstreams, sort and pause.
func TestKeys(t *testing.T) {
	m := model{view: View{Status: fleet(5)}}
	for _, c := range []struct {
		keys  []tea.KeyPressMsg
		first int
	}{
		{[]tea.KeyPressMsg{up}, 0},
		{[]tea.KeyPressMsg{down, down, up}, 1},
		{[]tea.KeyPressMsg{down, down, down, down, down, down}, 4},
		{[]tea.KeyPressMsg{end}, 4},
	} {
		if got := press(m, c.keys...).view.First; got != c.first {
			t.Errorf("%v: %d, want %d", c.keys, got, c.first)
		}
	}
	if got := press(m, sorted, paused); !got.view.Busiest || !got.view.Paused {
		t.Errorf("%+v", got.view)
	}
	if _, cmd := m.Update(quit); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
	if got := press(model{}, down, end); got.view.First != 0 {
		t.Errorf("%d without upstreams", got.view.First)
	}
}

// A new status replaces the last one, unless the screen is paused. An error leaves the last one, and shows.
func TestAnswers(t *testing.T) {
	m := model{view: View{Status: fleet(1)}}
	take := func(a answer) {
		next, cmd := m.Update(a)
		if m = next.(model); cmd == nil {
			t.Error("there is no next question")
		}
	}
	take(answer{status: fleet(2)})
	take(answer{err: errors.New("refused\x1b[2J")})
	if n := len(m.view.Status.Now.Upstreams); n != 2 || m.view.Problem != "refused·[2J" {
		t.Errorf("%d upstreams, %q", n, m.view.Problem)
	}
	m = press(m, paused)
	take(answer{status: fleet(3)})
	if n := len(m.view.Status.Now.Upstreams); n != 2 || m.view.Problem != "" {
		t.Errorf("%d upstreams, %q", n, m.view.Problem)
	}
}

// output is what the program writes, for several goroutines.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) contains(s string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Contains(o.text.String(), s)
}

// The program shows each answer, asks again after a second, and ends with its context or with a key.
func TestProgram(t *testing.T) {
	for _, byKey := range []bool{true, false} {
		ctx, cancel := context.WithCancel(context.Background())
		asked := make(chan struct{}, 100)
		ask := func(context.Context) (status.Status, error) {
			asked <- struct{}{}
			return fleet(7), nil
		}
		keys, typing := io.Pipe()
		var out output
		done := make(chan error, 1)
		go func() {
			_, err := program(ctx, ask, fleet(2), tea.WithInput(keys), tea.WithOutput(&out), tea.WithWindowSize(100, 30)).Run()
			done <- err
		}()
		<-asked
		<-asked // the first answer is on the screen
		if byKey {
			_, _ = io.WriteString(typing, "q")
		} else {
			cancel()
		}
		select {
		case err := <-done:
			if (err == nil) != byKey {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the program does not end")
		}
		for _, name := range []string{"vllm-1", "vllm-6"} {
			if !out.contains(name) {
				t.Errorf("no %s: %q", name, out.text.String())
			}
		}
		cancel()
		typing.Close()
	}
}

// The end of the context is no error.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, nil, fleet(1), strings.NewReader(""), io.Discard); err != nil {
		t.Error(err)
	}
}
