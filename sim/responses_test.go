package sim

import (
	"encoding/json"
	"strings"
	"testing"
)

// responseState is the part of a response that the tests check.
type responseState struct {
	ID     string
	Status string
	Output []struct{ Content []struct{ Text string } }
	Usage  *struct {
		InputTokens int `json:"input_tokens"`
	}
}

func parseResponse(t *testing.T, r reply) responseState {
	t.Helper()
	var state responseState
	if err := json.Unmarshal([]byte(r.body), &state); err != nil || r.status != 200 {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return state
}

func TestPreviousResponse(t *testing.T) {
	s, other := start(t, Config{}), start(t, Config{})
	first := parseResponse(t, postTo(t, s, "/v1/responses", `{"input":"Hello there"}`))
	if got := parseResponse(t, get200(t, s, "/v1/responses/"+first.ID)); got.Status != "completed" || got.ID != first.ID {
		t.Errorf("stored: %+v", got)
	}
	body := `{"input":"And more","previous_response_id":"` + first.ID + `"}`
	second := parseResponse(t, postTo(t, s, "/v1/responses", body))
	if second.Usage.InputTokens <= first.Usage.InputTokens+16 {
		t.Errorf("the second turn has %d tokens, the first %d", second.Usage.InputTokens, first.Usage.InputTokens)
	}
	want := `{"error":{"message":"Response with id '` + first.ID + `' not found.","type":"invalid_request_error","param":"response_id","code":404}}`
	for _, r := range []reply{
		postTo(t, other, "/v1/responses", body),
		ask(t, client(t), other.URL(), "GET", "/v1/responses/"+first.ID, ""),
		postTo(t, other, "/v1/responses/"+first.ID+"/cancel", ""),
	} {
		if r.status != 404 || r.body != want {
			t.Errorf("other server: %d %s", r.status, r.body)
		}
	}
	if r := postTo(t, s, "/v1/responses/"+first.ID+"/cancel", ""); r.status != 400 || !strings.Contains(r.body, "Cannot cancel a synchronous response.") {
		t.Errorf("cancel: %d %s", r.status, r.body)
	}
}

func TestStreamedResponseIsStored(t *testing.T) {
	s := start(t, Config{})
	r := postTo(t, s, "/v1/responses", `{"input":"Hello","stream":true}`)
	_, rest, _ := strings.Cut(r.body, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	got := parseResponse(t, get200(t, s, "/v1/responses/"+id))
	if got.Status != "completed" || !strings.Contains(r.body, `"text":"`+got.Output[0].Content[0].Text+`"`) {
		t.Errorf("%+v", got)
	}
}

func TestResponsesWithoutStore(t *testing.T) {
	s, off := start(t, Config{}), start(t, Config{NoStore: true})
	for _, c := range []struct {
		s    *Server
		body string
	}{{s, `{"input":"x","store":false}`}, {off, `{"input":"x"}`}} {
		id := parseResponse(t, postTo(t, c.s, "/v1/responses", c.body)).ID
		if r := ask(t, client(t), c.s.URL(), "GET", "/v1/responses/"+id, ""); r.status != 404 {
			t.Errorf("%s: %d", c.body, r.status)
		}
	}
	if r := postTo(t, off, "/v1/responses", `{"input":"x","background":true}`); r.status != 400 {
		t.Errorf("background without a store: %d %s", r.status, r.body)
	}
}
