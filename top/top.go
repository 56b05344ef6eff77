// Package top shows the status of a running tether in a terminal, refreshed in place, for operators without a browser. render.go and table.go
// turn a status into lines; top.go asks for it again and again, and listens to the keyboard.
//
// It does not know how to reach tether: its caller gives it a function that asks.
package top

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tether/status"
)

// Ask returns the status of now.
type Ask func(context.Context) (status.Status, error)

// interval is the time between two questions.
const interval = time.Second

// Run shows the status on the terminal out until its user quits or ctx ends. in are the keys. The first answer has been received already.
func Run(ctx context.Context, ask Ask, first status.Status, in io.Reader, out io.Writer) error {
	_, err := program(ctx, ask, first, tea.WithInput(in), tea.WithOutput(out)).Run()
	if err != nil && ctx.Err() == nil && !errors.Is(err, tea.ErrInterrupted) {
		return err
	}
	return nil
}

func program(ctx context.Context, ask Ask, first status.Status, terminal ...tea.ProgramOption) *tea.Program {
	m := model{ctx: ctx, ask: ask, view: View{Status: first}}
	return tea.NewProgram(m, append(terminal, tea.WithContext(ctx))...)
}

// model is the state of the screen, as Bubble Tea wants it.
type model struct {
	ctx  context.Context
	ask  Ask
	view View
}

// answer is the answer of Ask.
type answer struct {
	status status.Status
	err    error
}

// Init asks for the first time.
func (m model) Init() tea.Cmd { return m.later() }

// later asks after the interval.
func (m model) later() tea.Cmd {
	return tea.Tick(interval, func(time.Time) tea.Msg {
		s, err := m.ask(m.ctx)
		return answer{s, err}
	})
}

// Update takes an answer, a key, or the size of the terminal.
func (m model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case answer:
		if m.view.Problem = ""; message.err != nil {
			m.view.Problem = clean(message.err.Error())
		} else if !m.view.Paused {
			m.view.Status = message.status
		}
		return m, m.later()
	case tea.WindowSizeMsg:
		m.view.Width, m.view.Height = message.Width, message.Height
	case tea.KeyPressMsg:
		return m.key(message.String())
	}
	return m, nil
}

// page is how many rows the page keys scroll.
const page = 10

func (m model) key(name string) (tea.Model, tea.Cmd) {
	last := len(m.view.Status.Now.Upstreams) - 1
	scroll := func(by int) { m.view.First = min(max(m.view.First+by, 0), max(last, 0)) }
	switch name {
	case "q", "esc", "ctrl+c":
		return m, tea.Quit
	case "p", "space":
		m.view.Paused = !m.view.Paused
	case "s":
		m.view.Busiest = !m.view.Busiest
	case "down", "j":
		scroll(1)
	case "up", "k":
		scroll(-1)
	case "pgdown":
		scroll(page)
	case "pgup":
		scroll(-page)
	case "home":
		scroll(-last)
	case "end":
		scroll(last)
	}
	return m, nil
}

// View returns the screen.
func (m model) View() tea.View {
	v := tea.NewView(strings.Join(m.view.Lines(), "\n"))
	v.AltScreen, v.WindowTitle = true, "tether top"
	return v
}
