package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// adminTimeout is the time for an answer of the admin API.
const adminTimeout = time.Second

// states asks the admin API for the states of the upstreams, in tether's words, by name. It is empty when there is no answer.
func states(ctx context.Context, client *http.Client, operators string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+operators+"/api/upstreams", nil)
	if err != nil {
		return nil
	}
	res, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var answer struct {
		Upstreams []struct{ Name, State string }
	}
	if json.NewDecoder(res.Body).Decode(&answer) != nil {
		return nil
	}
	all := map[string]string{}
	for _, u := range answer.Upstreams {
		all[u.Name] = u.State
	}
	return all
}
