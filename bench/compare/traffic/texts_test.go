package traffic

import (
	"encoding/json"
	"testing"
)

// Completions have the size that is asked for, and are JSON with a usage.
func TestCompletion(t *testing.T) {
	for _, size := range []int{1024, 4096} {
		text := completion(size)
		var c struct {
			Usage struct {
				Prompt int `json:"prompt_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil || len(text) != size || c.Usage.Prompt == 0 {
			t.Errorf("size %d: %d bytes, %v: %s", size, len(text), err, text)
		}
	}
	if !json.Valid([]byte(completion(0))) || !json.Valid([]byte(models)) {
		t.Error("a text is no JSON")
	}
}
