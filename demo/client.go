package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// reply is a streamed answer as its client received it.
type reply struct {
	server         string // that answered
	text           string
	ttft           time.Duration // from the request's start to its first token
	prompt, cached int           // tokens
}

// errBroken means that an answer began and did not end as it should.
var errBroken = errors.New("the answer broke off")

// ask sends one turn, and reads its answer to the end. errBroken means that the answer began, any other error that it did not.
func ask(ctx context.Context, client *http.Client, url string, body []byte) (reply, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return reply{}, fmt.Errorf("status %d", res.StatusCode)
	}
	r := reply{server: res.Header.Get("X-Sim-Server")}
	return r, r.read(res.Body, began)
}

// event is an event of a stream, as far as the demo reads it.
type event struct {
	Choices []struct {
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens int `json:"prompt_tokens"`
		Details      struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// read reads the stream to its end. An answer is whole once [DONE] was received.
func (r *reply) read(stream io.Reader, began time.Time) error {
	lines := bufio.NewScanner(stream)
	done := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || done {
			continue
		}
		if done = data == "[DONE]"; done {
			continue // to the very end: the connection cannot be used again otherwise
		}
		var e event
		if json.Unmarshal([]byte(data), &e) != nil || e.Error != nil {
			return errBroken
		}
		r.add(&e, began)
	}
	if !done || lines.Err() != nil {
		return errBroken
	}
	return nil
}

func (r *reply) add(e *event, began time.Time) {
	for _, c := range e.Choices {
		if r.text == "" && c.Delta.Content != "" {
			r.ttft = time.Since(began)
		}
		r.text += c.Delta.Content
	}
	if e.Usage != nil {
		r.prompt, r.cached = e.Usage.PromptTokens, e.Usage.Details.CachedTokens
	}
}
