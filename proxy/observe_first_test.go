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
			g := generation{stream: !c.json}
			at := -1
			for from := 0; from < len(text) && at < 0; from += part {
				to := min(len(text), from+part)
				if g.see([]byte(text[from:to])); g.begun {
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
