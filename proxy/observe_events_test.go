package proxy

import (
	"strings"
	"testing"
)

// The generated part of an answer begins where the model has said something, however the answer is split.
func TestGenerationBegins(t *testing.T) {
	const created = "event: response.created\ndata: {\"type\":\"response.created\"}\n\nevent: response.in_progress\ndata: {}\n\n"
	for _, c := range []struct {
		name, before, first string // the generated part is complete with first
		json                bool
	}{
		{name: "JSON", json: true, first: "{"},
		{name: "chat", first: "data: {\"choices\":[]}\n"},
		{name: "keep-alive", before: ": keep-alive\n\n: keep-alive\n\n", first: "data: {}\n"},
		{name: "responses", before: created, first: "event: response.output_item.added\ndata: {}\n"},
		{name: "responses, CRLF", before: strings.ReplaceAll(created, "\n", "\r\n"), first: "event: response.output_item.added\r\ndata: {}\r\n"},
		{name: "a long event before", before: "event: response.created\ndata: {" + strings.Repeat("x", 5000) + "}\n\n", first: "data: {}\n"},
		{name: "an event that only begins like one", first: "event: response.created_in_another_way_altogether\ndata: {}\n"},
		{name: "messages of another server", before: "event: message_start\ndata: {}\n\nevent: ping\ndata: {}\n\n", first: "event: content_block_start\ndata: {}\n"},
		{name: "no space", before: "event:response.created\ndata:{}\n\n", first: "data:{}\n"},
		{name: "other fields", before: "id: 1\nretry: 5\n\nunknown\n\n", first: "data: [DONE]\n"},
	} {
		text := c.before + c.first
		for part := 1; part <= len(text); part++ {
			e := events{stream: !c.json}
			at := -1
			for from := 0; from < len(text) && at < 0; from += part {
				to := min(len(text), from+part)
				if e.see([]byte(text[from:to])); e.begun {
					at = to
				}
			}
			if end := len(text); at < end || at-part >= end {
				t.Errorf("%s, %d bytes at a time: begun after %d of %d bytes", c.name, part, at, end)
				break
			}
		}
	}
}

// The terminal event has arrived once the blank line after it has, however the stream is split. Nothing else passes for it.
func TestTerminalEvent(t *testing.T) {
	const chat = "data: {\"choices\":[]}\n\n"
	for _, c := range []struct {
		name, before, terminal string // the event is complete with terminal, "" for no terminal event
	}{
		{"chat", chat, "data: [DONE]\n\n"},
		{"no space", chat, "data:[DONE]\n\n"},
		{"CRLF", strings.ReplaceAll(chat, "\n", "\r\n"), "data: [DONE]\r\n\r\n"},
		{"alone", "", "data: [DONE]\n\n"},
		{"after a comment", chat + ": keep-alive\n\n", "data: [DONE]\n\n"},
		{"messages", "event: message_start\ndata: {}\n\n", "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
		{"messages, an error", "event: message_start\ndata: {}\n\n", "event: error\ndata: {}\n\n"},
		{"responses", "event: response.created\ndata: {}\n\n", "event: response.completed\ndata: {" + strings.Repeat("x", 5000) + "}\n\n"},
		{"responses, incomplete", "", "event: response.incomplete\ndata: {}\n\n"},
		{"responses, failed", "", "event: response.failed\ndata: {}\n\n"},
		{"no blank line", chat + "data: [DONE]\n", ""},
		{"no end of the line", chat + "data: [DONE]", ""},
		{"a model's words", "data: {\"content\":\"data: [DONE]\\n\\n\"}\n\n", ""},
		{"an event that only begins like one", "event: response.completed_in_another_way_altogether\ndata: {}\n\nevent: message_stopped\ndata: {}\n\n", ""},
		{"data that only begins like it", "data: [DONE] with that\n\ndata: [DONE] with that, and with very much more\n\n", ""},
		{"a comment", ": data: [DONE]\n\n", ""},
	} {
		text := c.before + c.terminal
		for part := 1; part <= len(text); part++ {
			e := events{stream: true}
			at := -1
			for from := 0; from < len(text) && at < 0; from += part {
				to := min(len(text), from+part)
				if e.see([]byte(text[from:to])); e.ended {
					at = to
				}
			}
			if want := c.terminal != ""; want != (at == len(text)) || !want && at >= 0 {
				t.Errorf("%s, %d bytes at a time: ended after %d of %d bytes", c.name, part, at, len(text))
				break
			}
		}
	}
	e := events{}
	if e.see([]byte("data: [DONE]\n\n")); e.ended {
		t.Error("a body that is no stream has a terminal event")
	}
}

// BenchmarkEvents reads a part of a stream in its middle, one event and forty.
func BenchmarkEvents(b *testing.B) {
	const event = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" dull\"},\"finish_reason\":null}]}\n\n"
	for name, text := range map[string]string{"1": event, "40": strings.Repeat(event, 40)} {
		b.Run(name, func(b *testing.B) {
			e, part := events{stream: true}, []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				e.see(part)
			}
		})
	}
}
