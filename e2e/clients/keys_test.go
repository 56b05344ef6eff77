package clients

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tether/e2e/binary"
	"tether/sim"
)

// serversKey is the key that the servers of these tests want.
const serversKey = "sk-of-the-servers"

// guarded runs tether with a key file, in front of servers that want the key. options are added to each upstream.
func guarded(t *testing.T, options string) *binary.Tether {
	t.Helper()
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "config.yaml")
	text := "upstreams:\n"
	for _, u := range servers(t, 2, sim.Config{APIKey: serversKey}, nil) {
		text += fmt.Sprintf("  - { url: %q, api_key_file: %q%s }\n", u, key, options)
	}
	for path, text := range map[string]string{key: serversKey + "\n", file: text} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var p *binary.Tether
	t.Cleanup(func() { // it runs after tether has ended, so that the log is complete
		if strings.Contains(p.Log(), serversKey) {
			t.Errorf("the key is in the log: %s", p.Log())
		}
	})
	p = binary.Run(t, nil, "-c", file)
	return p
}

// statuses sends a request with each official client and returns the statuses of the answers.
func statuses(t *testing.T, p *binary.Tether, anthropicKey string, key option.RequestOption) (openAIStatus, anthropicStatus int) {
	note := func(status *int) func(*http.Request, func(*http.Request) (*http.Response, error)) (*http.Response, error) {
		return func(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
			res, err := next(req)
			if err == nil {
				*status = res.StatusCode
			}
			return res, err
		}
	}
	client := openai.NewClient(option.WithBaseURL(p.URL+"/v1"), option.WithAPIKey("unused"), key, option.WithMiddleware(note(&openAIStatus)))
	_, _ = client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{ // the status says how it went
		Model: "tiny", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")},
	})
	other := anthropic.NewClient(anthropicoption.WithBaseURL(p.URL), anthropicoption.WithAPIKey(anthropicKey), anthropicoption.WithMiddleware(note(&anthropicStatus)))
	_, _ = other.Messages.New(t.Context(), anthropic.MessageNewParams{
		Model: "tiny", MaxTokens: 8, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello"))},
	})
	return openAIStatus, anthropicStatus
}

// The servers want a key. The clients have none, the right one, or another one. The Anthropic client shows its key in a field that
// vLLM ignores.
func TestServersThatWantAKey(t *testing.T) {
	none, right, wrong := option.WithHeaderDel("Authorization"), option.WithAPIKey(serversKey), option.WithAPIKey("EMPTY")
	for _, c := range []struct {
		options string
		client  string
		key     option.RequestOption
		want    int
	}{
		{"", "no key", none, 200},
		{"", "the right key", right, 200},
		{"", "another key", wrong, 401},
		{", api_key_override: true", "no key", none, 200},
		{", api_key_override: true", "another key", wrong, 200},
	} {
		t.Run(c.client+c.options, func(t *testing.T) {
			p := guarded(t, c.options)
			if got, gotAnthropic := statuses(t, p, "sk-ant", c.key); got != c.want || gotAnthropic != 200 {
				t.Errorf("OpenAI's client: %d, want %d; Anthropic's: %d, want 200", got, c.want, gotAnthropic)
			}
			// tether knows the servers' lists, so it answers by itself.
			models := text(t, p.URL+"/v1/models")
			if strings.Count(models, `"id":"tiny"`) != 1 {
				t.Errorf("models: %s", models)
			}
			for source, text := range map[string]string{
				"models": models, "metrics": text(t, p.Admin+"/metrics"), "upstreams": text(t, p.Admin+"/api/upstreams"),
			} {
				if strings.Contains(text, serversKey) {
					t.Errorf("the key is in the %s: %s", source, text)
				}
			}
		})
	}
}

// Official clients work unchanged with a tether that wants keys. They send the key as usual, and tether replaces it by the servers'
// key.
func TestTetherThatRequiresKeys(t *testing.T) {
	const key = "sk-of-a-client"
	dir := t.TempDir()
	files := map[string]string{
		"keys": fmt.Sprintf("client %x\n", sha256.Sum256([]byte(key))), "key": serversKey,
		"config.yaml": fmt.Sprintf("auth: {keys_file: %q}\nupstreams:\n", filepath.Join(dir, "keys")),
	}
	for _, u := range servers(t, 2, sim.Config{APIKey: serversKey}, nil) {
		files["config.yaml"] += fmt.Sprintf("  - { url: %q, api_key_file: %q }\n", u, filepath.Join(dir, "key"))
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := binary.Run(t, nil, "-c", filepath.Join(dir, "config.yaml"))
	for sent, want := range map[string]int{key: 200, "sk-of-another": 401, serversKey: 401} {
		if got, gotAnthropic := statuses(t, p, sent, option.WithAPIKey(sent)); got != want || gotAnthropic != want {
			t.Errorf("%s: %d and %d, want %d", sent, got, gotAnthropic, want)
		}
	}
}

func text(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %s, %v", url, res.StatusCode, b, err)
	}
	return string(b)
}
