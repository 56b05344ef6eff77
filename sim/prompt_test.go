package sim

import (
	"encoding/json"
	"testing"
)

func TestConversationHitsItsCache(t *testing.T) {
	s := start(t, Config{})
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	messages := []turn{{"user", "Tell me about the sea"}}
	for i := range 4 {
		body, err := json.Marshal(map[string]any{"model": "tiny", "messages": messages, "max_tokens": 40})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Choices []struct{ Message turn }
			Usage   struct {
				PromptTokens        int `json:"prompt_tokens"`
				PromptTokensDetails struct {
					CachedTokens int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
		}
		if err := json.Unmarshal([]byte(postTo(t, s, chatPath, string(body)).body), &answer); err != nil {
			t.Fatal(err)
		}
		// All but the new question and the markers around it is cached, answers included.
		prompt, cached := answer.Usage.PromptTokens, answer.Usage.PromptTokensDetails.CachedTokens
		if i > 0 && prompt-cached > 16+24 {
			t.Errorf("turn %d: %d of %d tokens cached", i, cached, prompt)
		}
		messages = append(messages, answer.Choices[0].Message, turn{"user", "And then?"})
	}
}
