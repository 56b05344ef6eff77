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

// reply is a streamed answer as its client saw it.
type reply struct {
	server         string // who answered
	text           string
	first          time.Duration // from the request's start to its first token
	prompt, cached int           // tokens
}

// errBroken says that an answer began and did not end as one does.
var errBroken = errors.New("the answer broke off")

// ask sends one turn, and reads its answer to the end. errBroken: it began; any other error: there was none.
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

// event is what we read of an event of a stream.
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

// read follows the stream until it says that it is done.
func (r *reply) read(stream io.Reader, began time.Time) error {
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		if data == "[DONE]" {
			return finish(stream)
		}
		var e event
		if json.Unmarshal([]byte(data), &e) != nil || e.Error != nil {
			return errBroken
		}
		r.take(&e, began)
	}
	return errBroken
}

func (r *reply) take(e *event, began time.Time) {
	for _, c := range e.Choices {
		if r.text == "" && c.Delta.Content != "" {
			r.first = time.Since(began)
		}
		r.text += c.Delta.Content
	}
	if e.Usage != nil {
		r.prompt, r.cached = e.Usage.PromptTokens, e.Usage.Details.CachedTokens
	}
}

// finish reads to the very end, without which the connection cannot be used again.
func finish(stream io.Reader) error {
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return errBroken
	}
	return nil
}
