package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"tether/admin"
	"tether/config"
)

// What the admin listener may take to answer, and the most of it that is read.
const (
	askTime   = 30 * time.Second
	maxAnswer = 64 << 20
)

// ask asks the admin listener.
func (o *whereOptions) ask(ctx context.Context, q question) (found admin.Where, err error) {
	base, err := url.Parse(o.admin)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return found, usageError{errors.New("--admin: want http://HOST:PORT")}
	}
	path, kind, body := "/api/where/request", "application/http", q.request
	if q.request == nil {
		path, kind = "/api/where", "application/json"
		if body, err = json.Marshal(map[string]any{"id": q.id, "model": q.model}); err != nil {
			return found, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return found, err
	}
	req.Header.Set("Content-Type", kind)
	token, err := config.ReadSecret(o.tokenFile)
	if err != nil {
		return found, usageError{fmt.Errorf("--token-file: %w", err)}
	}
	if len(token) > 0 {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	return exchangeWith(base.Host, req)
}

// exchangeWith sends the request and reads the answer. No proxy of the environment and no redirect gets to see the token.
func exchangeWith(host string, req *http.Request) (found admin.Where, err error) {
	client := http.Client{
		Timeout: askTime, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err
		}
		return found, fmt.Errorf("%w: is tether running there? --admin URL asks another, -c FILE computes the answer without one", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return found, fmt.Errorf("%s: %w", host, err)
	}
	if res.StatusCode != 200 {
		return found, refusal(host, res.StatusCode, text)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("%s: this is no answer of tether's: does --admin name its admin listener?", host)
	}
	return found, nil
}

// refusal is what an answer other than 200 means to the user.
func refusal(host string, status int, text []byte) error {
	if status == 401 {
		return usageError{fmt.Errorf("%s wants its token: --token-file FILE with the one of its admin.token_file", host)}
	}
	var answer struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(text, &answer) != nil || answer.Error.Message == "" {
		return fmt.Errorf("%s answered %d: does --admin name tether's admin listener?", host, status)
	}
	err := fmt.Errorf("%s: %s", host, printable(answer.Error.Message))
	if status == 400 {
		return usageError{err}
	}
	return err
}
