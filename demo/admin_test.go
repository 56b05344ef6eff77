package demo

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStates(t *testing.T) {
	text := `{"upstreams":[{"name":"vllm-0","state":"up","pins":3},{"name":"vllm-1","state":"up, draining"}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	addr := strings.TrimPrefix(s.URL, "http://")
	if got := states(client, addr); !maps.Equal(got, map[string]string{"vllm-0": "up", "vllm-1": "up, draining"}) {
		t.Errorf("%v", got)
	}
	text = "no JSON"
	if got := states(client, addr); len(got) != 0 {
		t.Errorf("%v", got)
	}
	s.Close()
	if got := states(client, addr); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
