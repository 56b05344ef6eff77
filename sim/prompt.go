package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"tether/sim/engine"
)

// message is one turn of a conversation, in OpenAI's or Anthropic's form.
type message struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	ToolCalls json.RawMessage `json:"tool_calls"`
	raw       json.RawMessage // the whole item, for items of the Responses API that are no messages
}

// UnmarshalJSON reads the fields, and keeps the item as it was received.
func (m *message) UnmarshalJSON(data []byte) error {
	type fields message
	if err := json.Unmarshal(data, (*fields)(m)); err != nil {
		return err
	}
	m.raw = append(json.RawMessage(nil), data...)
	return nil
}

func newMessage(role, text string) message {
	return message{Role: role, Content: json.RawMessage(quote(text))}
}

// chatPrompts renders conversations. An empty one is a problem.
func chatPrompts(tools json.RawMessage, system string, conversations ...[]message) prompts {
	return func() (rendered [][]engine.Token, err error) {
		for _, messages := range conversations {
			if len(messages) == 0 {
				return nil, badRequest("", "Cannot apply chat template to an empty conversation. Provide at least one message.")
			}
			rendered = append(rendered, render(tools, system, messages))
		}
		return rendered, nil
	}
}

// render is the chat template. The text of a message and all before it stay the same when later messages are added, so that
// the prompt of the next turn begins with the prompt of this turn.
func render(tools json.RawMessage, system string, messages []message) []engine.Token {
	var b strings.Builder
	if len(tools) > 0 && string(tools) != "null" && string(tools) != "[]" {
		fmt.Fprintf(&b, "<|im_start|>tools\n%s<|im_end|>\n", tools)
	}
	if system != "" {
		fmt.Fprintf(&b, "<|im_start|>system\n%s<|im_end|>\n", system)
	}
	for _, m := range messages {
		fmt.Fprintf(&b, "<|im_start|>%s\n%s<|im_end|>\n", m.Role, m.text())
	}
	b.WriteString("<|im_start|>assistant\n")
	return engine.Tokenize(b.String())
}

func (m message) text() string {
	if m.Role == "" {
		return string(m.raw)
	}
	if calls := string(m.ToolCalls); calls != "" && calls != "null" {
		return contentText(m.Content, "") + calls
	}
	return contentText(m.Content, "")
}

// contentText is the text of a string, or of a list of parts. It leaves out parts that begin with a prefix, "" for none.
func contentText(content json.RawMessage, leaveOut string) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []json.RawMessage
	if json.Unmarshal(content, &parts) != nil {
		return string(content)
	}
	var b strings.Builder
	for _, p := range parts {
		if text := partText(p); leaveOut == "" || !strings.HasPrefix(text, leaveOut) {
			b.WriteString(text)
		}
	}
	return b.String()
}

// partText is the text of a text part. Any other part, such as an image, becomes a few tokens that follow from its bytes.
func partText(part json.RawMessage) string {
	var fields struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(part, &fields) == nil && fields.Text != nil {
		return *fields.Text
	}
	return fmt.Sprintf("<|part:%016x|>", engine.HashString(0, string(part)))
}
