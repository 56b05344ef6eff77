// Package client asks the admin listener of a running tether, for the command line. It knows addresses, the token and
// limits, and does not know what is asked.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Client asks one admin listener.
type Client struct {
	base  *url.URL
	token string
	http  http.Client
}

// Request is one question to an admin listener. ContentType belongs to Body; both are empty for a GET.
type Request struct {
	Method, Path string
	Query        url.Values
	ContentType  string
	Body         io.Reader
}

// maxAnswer limits an answer, in bytes.
const maxAnswer = 64 << 20

// New returns a client of the admin listener at base, an http or https URL. The token may be empty.
func New(base *url.URL, token string) *Client { return newClient(base, token, nil) }

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// newClient returns a client that connects by dial. It uses no proxy of the environment and follows no redirect: neither
// may see the token.
func newClient(base *url.URL, token string, dial dialFunc) *Client {
	return &Client{base: base, token: token, http: http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends the request and returns the answer's status and body. The caller bounds the time by ctx.
func (c *Client) Do(ctx context.Context, r Request) (status int, body []byte, err error) {
	target := c.base.JoinPath(r.Path)
	target.RawQuery = r.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), r.Body)
	if err != nil {
		return 0, nil, err
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) { // it repeats the URL
			err = outer.Err
		}
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return res.StatusCode, body, nil
}
