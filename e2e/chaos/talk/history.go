package talk

import (
	"strings"

	"tether/sim/engine"
)

// said is one message of a conversation.
type said struct{ role, text string }

// history is a conversation so far. A simulated server's answer follows from it, so a client knows the right answer, which no other
// conversation gets.
type history struct {
	system string
	said   []said
}

// with returns the history with a further message. The history itself stays as it is.
func (h history) with(role, text string) history {
	h.said = append(h.said[:len(h.said):len(h.said)], said{role, text})
	return h
}

// template renders a chat as the simulated servers do.
func (h history) template() string {
	var b strings.Builder
	turn := func(role, text string) { b.WriteString("<|im_start|>" + role + "\n" + text + "<|im_end|>\n") }
	if h.system != "" {
		turn("system", h.system)
	}
	for _, s := range h.said {
		turn(s.role, s.text)
	}
	return b.String() + "<|im_start|>assistant\n"
}

// text is the prompt of a completion.
func (h history) text() string {
	b := new(strings.Builder)
	b.WriteString(h.system)
	for _, s := range h.said {
		b.WriteString("\n" + s.role + ": " + s.text)
	}
	return b.String() + "\nassistant:"
}

// answer is the right answer of a number of tokens.
func (h history) answer(api string, tokens int) string {
	prompt := h.template()
	if api == completions {
		prompt = h.text()
	}
	return engine.Answer(engine.Tokenize(prompt), tokens)
}

// list returns the messages in the form of the APIs.
func (h history) list() []map[string]string {
	out := make([]map[string]string, len(h.said))
	for i, s := range h.said {
		out[i] = map[string]string{"role": s.role, "content": s.text}
	}
	return out
}
