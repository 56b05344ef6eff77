package main

import (
	"encoding/json"
	"fmt"
)

// picture is a picture in a message.
type picture struct {
	shown string // what the server reads in it
	part  any    // how the client sends it at a turn
}

// MarshalJSON writes the message as clients send it: a picture makes its content a list of parts.
func (m message) MarshalJSON() ([]byte, error) {
	content := any(m.Content)
	if m.picture.shown != "" {
		content = []any{map[string]any{"type": "text", "text": m.Content}, m.picture.part}
	}
	return json.Marshal(map[string]any{"role": m.Role, "content": content})
}

// pictures starts chats about a picture each, all with the same words. part is how the client of the n-th chat sends its
// picture at a turn.
func pictures(part func(w *world, n, turn int) any) func(*world, *class) {
	return func(w *world, c *class) {
		system := w.prose(200, 300)
		people(w, c, 400, func(n int) *talk {
			t := &talk{turns: w.turns(6), system: system, headers: oneKey(n), first: "What is on this picture?"}
			shown := fmt.Sprint("<picture ", n, ">", w.prose(300, 500))
			t.sends = func(turn int, system string, history []message) (string, []message) {
				history[0].picture = picture{shown, part(w, n, turn)}
				return system, history
			}
			return t
		})
	}
}

// byUUID sends a picture with a uuid, and in later turns the uuid alone.
func byUUID(_ *world, n, turn int) any {
	part := map[string]any{"type": "image_url", "image_url": nil, "uuid": fmt.Sprint("picture-", n)}
	if turn == 0 {
		part["image_url"] = map[string]any{"url": fmt.Sprintf("data:image/png;base64,%016x", n)}
	}
	return part
}

// presigned sends the address of a picture, with a new signature at each turn.
func presigned(w *world, n, _ int) any {
	return map[string]any{"type": "image_url", "image_url": map[string]any{
		"url": fmt.Sprintf("https://bucket.example/%d.png?X-Amz-Date=%d&X-Amz-Signature=%x", n, int(w.clock.Now().Seconds()), w.random.Uint64()),
	}}
}
