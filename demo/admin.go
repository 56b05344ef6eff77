package demo

import (
	"encoding/json"
	"net/http"
	"time"
)

// adminTimeout is the time for an answer of the admin API.
const adminTimeout = time.Second

// states asks the admin API for the states of the upstreams, in tether's words, by name. It is empty when there is no answer.
func states(client *http.Client, operators string) map[string]string {
	res, err := client.Get("http://" + operators + "/api/upstreams")
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
